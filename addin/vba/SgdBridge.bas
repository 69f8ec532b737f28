Attribute VB_Name = "SgdBridge"
Option Explicit

' Starts Python. Only the name of an action crosses this bridge, never code: it is checked here, whoever calls.
'
' Procedures that other modules need are Subs, never public Functions: a formula in any workbook can call a public
' Function of an add-in. Neither the workbook nor its folder has a say in which Python runs: the path comes from
' %APPDATA%\sgdsheet\sgdsheet.conf (on a Mac, from the AppleScript), which "sgdsheet addin install" wrote.

Private Const LETTERS As String = "abcdefghijklmnopqrstuvwxyz_"
Private Const HIDDEN_WINDOW As Integer = 0
Private Const FOR_READING As Integer = 1
Private Const IN_UTF_16 As Integer = -1
Public Const NO_PYTHON As String = "sgdsheet does not know its Python. Run in a terminal: sgdsheet addin install"

Public Sub RunPython(ByVal Action As String)
    Dim Problem As String
    If Not IsPlain(Action) Then Exit Sub
    #If Mac Then
        RunOnMac Action, Problem
    #Else
        RunOnWindows Action, Problem
    #End If
    If Problem <> "" Then MsgBox Problem, vbExclamation, "sgdsheet"
End Sub

' Letters and underscores only, so that nothing in it means anything to Python or to a shell.
Private Function IsPlain(ByVal Text As String) As Boolean
    Dim Position As Long
    If Len(Text) = 0 Or Len(Text) > 40 Then Exit Function
    For Position = 1 To Len(Text)
        If InStr(1, LETTERS, Mid$(Text, Position, 1), vbBinaryCompare) = 0 Then Exit Function
    Next Position
    IsPlain = True
End Function

Private Function CodeFor(ByVal Action As String) As String
    ' The first part keeps modules that lie in the current folder out.
    CodeFor = "import sys; sys.path = [p for p in sys.path if p]; from sgdsheet.apps.excel_addin.ribbon import dispatch; dispatch('" & Action & "')"
End Function

' The name of a workbook is the work of a stranger, so it travels as digits.
Private Function InDigits(ByVal Text As String) As String
    Dim Position As Long
    Dim Result As String
    For Position = 1 To Len(Text)
        Result = Result & Right$("000" & Hex$(AscW(Mid$(Text, Position, 1)) And &HFFFF&), 4)
    Next Position
    InDigits = Result
End Function

Private Function BookName() As String
    If Not ActiveWorkbook Is Nothing Then BookName = ActiveWorkbook.FullName
End Function

Private Sub RunOnWindows(ByVal Action As String, ByRef Problem As String)
    Dim Interpreter As String
    Dim Folder As String
    Dim ReplyFile As String
    Dim Command As String
    Dim Shell As Object
    Dim ExitCode As Long
    FindInterpreter Interpreter
    If Interpreter = "" Then
        Problem = NO_PYTHON
        Exit Sub
    End If
    FindVariable "TEMP", Folder
    ReplyFile = Folder & "\sgdsheet-" & Hex$(CLng(Timer * 100)) & ".txt"
    Command = """" & Interpreter & """ -B -c """ & CodeFor(Action) & """"
    Command = Command & " --book=" & InDigits(BookName())
    Command = Command & " --window=" & CStr(Application.Hwnd)
    Command = Command & " --reply=" & InDigits(ReplyFile)
    On Error GoTo Failed
    Set Shell = CreateObject("WScript.Shell")
    ExitCode = Shell.Run(Command, HIDDEN_WINDOW, True)
    If ExitCode <> 0 Then
        ReadText ReplyFile, Problem
        If Problem = "" Then Problem = "Python could not run sgdsheet. Run in a terminal: sgdsheet addin status"
    End If
    On Error Resume Next
    CreateObject("Scripting.FileSystemObject").DeleteFile ReplyFile
    Exit Sub
Failed:
    Problem = "Python could not be started. Run in a terminal: sgdsheet addin install"
End Sub

Private Sub RunOnMac(ByVal Action As String, ByRef Problem As String)
    #If Mac Then
        ' Returns at once; what goes wrong afterwards, Python or the script shows by itself.
        Dim Answer As String
        On Error GoTo Failed
        Answer = AppleScriptTask("sgdsheet.applescript", "sgdRun", Action & "|" & InDigits(BookName()))
        If Answer = "missing" Then Problem = "The Python of sgdsheet is gone. Run in a terminal: sgdsheet addin install"
        If Answer = "refused" Then Problem = "The script sgdsheet.applescript is another one. Run in a terminal: sgdsheet addin install"
        Exit Sub
Failed:
        Problem = "The script sgdsheet.applescript is missing. Run in a terminal: sgdsheet addin install"
    #End If
End Sub

Public Sub FindInterpreter(ByRef Interpreter As String)
    Dim Folder As String
    Dim Text As String
    #If Not Mac Then
        FindVariable "APPDATA", Folder
        ReadText Folder & "\sgdsheet\sgdsheet.conf", Text
    #End If
    Interpreter = Trim$(Replace(Replace(Text, vbCr, ""), vbLf, ""))
    If InStr(Interpreter, """") > 0 Or InStr(Interpreter, "%") > 0 Then Interpreter = ""
End Sub

' A variable of the environment, in any alphabet: VBA's Environ knows the code page of Windows only.
Private Sub FindVariable(ByVal Name As String, ByRef Text As String)
    Text = CreateObject("WScript.Shell").ExpandEnvironmentStrings("%" & Name & "%")
    If Text = "%" & Name & "%" Then Text = ""
End Sub

' Reads a file in UTF-16, from a folder in any alphabet: VBA's Open and FileLen know the code page of Windows only.
Private Sub ReadText(ByVal Path As String, ByRef Text As String)
    Dim File As Object
    Text = ""
    On Error GoTo Missing
    Set File = CreateObject("Scripting.FileSystemObject").OpenTextFile(Path, FOR_READING, False, IN_UTF_16)
    Text = File.ReadAll
    File.Close
    If Left$(Text, 1) = ChrW(&HFEFF&) Then Text = Mid$(Text, 2)
Missing:
End Sub
