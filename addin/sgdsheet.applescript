-- Starts the client of sgdsheet's ribbon in the background. Excel calls sgdRun through AppleScriptTask.
-- The interpreter is the one that ran "sgdsheet addin install"; no workbook has a say in it.

property interpreter : "{interpreter}"

on sgdRun(parameterText)
	set AppleScript's text item delimiters to "|"
	set theAction to text item 1 of parameterText
	set theBook to text item 2 of parameterText
	set AppleScript's text item delimiters to ""
	if not isMadeOf(theAction, "abcdefghijklmnopqrstuvwxyz_") then return "refused"
	if not isMadeOf(theBook, "0123456789ABCDEF") then return "refused"
	try
		do shell script "test -x " & quoted form of interpreter
	on error
		return "missing"
	end try
	set theCode to "import sys; sys.path = [p for p in sys.path if p]; from sgdsheet.apps.excel_addin.ribbon import dispatch; dispatch('" & theAction & "')"
	set theCommand to quoted form of interpreter & " -B -c " & quoted form of theCode & " --book=" & theBook
	-- Python shows its own errors, and then ends with 3; any other end means that it did not come so far.
	set theAlert to "osascript -e 'display alert \"sgdsheet\" message \"Python could not run sgdsheet. Run in a terminal: sgdsheet addin status\"'"
	do shell script "( " & theCommand & " || [ $? -eq 3 ] || " & theAlert & " ) > /dev/null 2>&1 &"
	return "started"
end sgdRun

on isMadeOf(theText, allowed)
	considering case
		repeat with letter in characters of theText
			if allowed does not contain letter then return false
		end repeat
	end considering
	return true
end isMadeOf
