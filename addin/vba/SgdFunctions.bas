Attribute VB_Name = "SgdFunctions"
Option Explicit

' The worksheet functions: each hands its arguments to the Python server of xlwings (Windows only).
' Its declarations are those of the installed xlwings {version}; everything but the functions is private, because
' a formula in any workbook can call what is public here.

Private Const MOST_TRIES As Integer = 20
Private Described As Boolean
Private Tries As Integer

#If VBA7 Then
    #If Win64 Then
        Private Const DLL_NAME As String = "xlwings64-{version}.dll"
        {declare64}
    #Else
        Private Const DLL_NAME As String = "xlwings32-{version}.dll"
        {declare32}
    #End If
#End If

Private Function Server() As Object
    #If Mac Then
        Err.Raise 1000, Description:="The functions need Excel for Windows"
    #Else
        Dim Interpreter As String
        Dim Folder As String
        Dim Before As String
        Dim Command As String
        Dim Done As Boolean
        Dim Status As Long
        Dim Result As Variant
        FindInterpreter Interpreter
        If Interpreter = "" Then Err.Raise 1000, Description:=NO_PYTHON
        Folder = FolderOf(Interpreter)
        SgdLoad Folder & "\" & DLL_NAME, Done
        If Not Done Then SgdLoad FolderOf(Folder) & "\" & DLL_NAME, Done ' beside the folder Scripts of an environment
        If Not Done Then Err.Raise 1000, Description:=DLL_NAME & " is missing. Run in a terminal: sgdsheet addin install"
        ' The DLL takes its text, and gives the environment on, in the code page of Windows only: so Python is started
        ' from its own folder, under its bare name. No cmd is between, which would stay, and wait, after Python has ended.
        Command = """.\" & Mid$(Interpreter, Len(Folder) + 2) & """ -B -c ""import sys; sys.path = [p for p in sys.path if p];"
        Command = Command & " import xlwings; xlwings.serve('$(CLSID)')"""
        Status = 1
        SgdEnterFolder Folder, Before
        On Error Resume Next
        Status = XLPyDLLActivateAuto(Result, Command, 1)
        On Error GoTo 0
        SgdEnterFolder Before, Folder
        If Status <> 0 Then Err.Raise 1000, Description:="The Python server did not start. Run in a terminal: sgdsheet addin status"
        Set Server = Result
    #End If
End Function

Private Function FolderOf(ByVal Path As String) As String
    FolderOf = Left$(Path, InStrRev(Path, "\") - 1)
End Function

' Texts become true errors, so that no sum passes over them; the reason stands in the status bar.
Private Function Answer(ByVal Result As Variant) As Variant
    Dim Row As Long
    Dim Column As Long
    Dim Wide As Boolean
    If Not IsArray(Result) Then
        Answer = TrueError(Result)
        Exit Function
    End If
    FindWide Result, Wide
    For Row = LBound(Result, 1) To UBound(Result, 1)
        If Wide Then
            For Column = LBound(Result, 2) To UBound(Result, 2)
                Result(Row, Column) = TrueError(Result(Row, Column))
            Next Column
        Else
            Result(Row) = TrueError(Result(Row))
        End If
    Next Row
    Answer = Result
End Function

Private Sub FindWide(ByVal Result As Variant, ByRef Wide As Boolean)
    Dim Last As Long
    Wide = False
    On Error GoTo Narrow
    Last = UBound(Result, 2)
    Wide = True
Narrow:
End Sub

Private Function TrueError(ByVal Item As Variant) As Variant
    TrueError = Item
    If VarType(Item) <> vbString Then Exit Function
    If Left$(Item, 1) <> "#" Then Exit Function
    If Left$(Item, 6) = "#SGD! " Then
        SgdShowLater Mid$(Item, 7)
        TrueError = CVErr(2015)
        Exit Function
    End If
    Select Case Item
        Case "#NULL!": TrueError = CVErr(2000)
        Case "#DIV/0!": TrueError = CVErr(2007)
        Case "#VALUE!": TrueError = CVErr(2015)
        Case "#REF!": TrueError = CVErr(2023)
        Case "#NAME?": TrueError = CVErr(2029)
        Case "#NUM!": TrueError = CVErr(2036)
        Case "#N/A": TrueError = CVErr(2042)
    End Select
End Function

' Why there is no result at all. In one line: what went wrong is anybody's text.
Private Function Refused(ByVal Reason As String) As Variant
    SgdShowLater Trim$(Replace(Replace(Reason, vbCr, " "), vbLf, " "))
    Refused = CVErr(2042)
End Function

' Excel refuses this at times. A function works without it; it is tried again when another workbook is looked at.
Private Sub Describe(ByVal Name As String, ByVal Help As String, ByVal Arguments As Variant, ByRef All As Boolean)
    On Error GoTo Later
    Application.MacroOptions Macro:="'" & ThisWorkbook.Name & "'!" & Name, Description:=Help, Category:=14, ArgumentDescriptions:=Arguments
    Exit Sub
Later:
    All = False
End Sub
