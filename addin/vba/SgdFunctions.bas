Attribute VB_Name = "SgdFunctions"
Option Explicit

' The worksheet functions: each hands its arguments to the Python server of xlwings (Windows only).
' Its declarations are those of the installed xlwings {version}; everything but the functions is private, because
' a formula in any workbook can call what is public here.

Private Const REASON_SECONDS As Integer = 2 ' the Enter that ends a formula moves the selection, too
Private Described As Boolean

#If VBA7 Then
    #If Win64 Then
        Private Const DLL_NAME As String = "xlwings64-{version}.dll"
        {declare64}
    #Else
        Private Const DLL_NAME As String = "xlwings32-{version}.dll"
        {declare32}
    #End If
    ' In its wide form, for folders in any alphabet. The one above takes its text in the code page of Windows only.
    Private Declare PtrSafe Function LoadLibrary Lib "KERNEL32" Alias "LoadLibraryW" (ByVal Path As LongPtr) As LongPtr
#End If

Private Function Server() As Object
    #If Mac Then
        Err.Raise 1000, Description:="The functions need Excel for Windows"
    #Else
        Dim Interpreter As String
        Dim Folder As String
        Dim Command As String
        Dim Result As Variant
        FindInterpreter Interpreter
        If Interpreter = "" Then Err.Raise 1000, Description:=NO_PYTHON
        Folder = FolderOf(Interpreter)
        If Not Loaded(Folder) Then ' else beside the folder Scripts of a virtual environment
            If Not Loaded(FolderOf(Folder)) Then
                Err.Raise 1000, Description:=DLL_NAME & " is missing. Run in a terminal: sgdsheet addin install"
            End If
        End If
        Command = Environ$("ComSpec") & " /K """"" & Interpreter & """ -B -c ""import sys; sys.path = [p for p in sys.path if p];"
        Command = Command & "import xlwings; xlwings.serve('$(CLSID)')"""""
        If XLPyDLLActivateAuto(Result, Command, 1) <> 0 Then
            Err.Raise 1000, Description:="The Python server did not start. Run in a terminal: sgdsheet addin status"
        End If
        Set Server = Result
    #End If
End Function

Private Function Loaded(ByVal Folder As String) As Boolean
    #If Not Mac Then
        Dim Path As String
        Path = Folder & "\" & DLL_NAME
        Loaded = LoadLibrary(StrPtr(Path)) <> 0
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
        SgdShowMessage Mid$(Item, 7), REASON_SECONDS
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
    SgdShowMessage Trim$(Replace(Replace(Reason, vbCr, " "), vbLf, " ")), REASON_SECONDS
    Refused = CVErr(2042)
End Function

Private Sub Describe(ByVal Name As String, ByVal Help As String, ByVal Arguments As Variant)
    On Error Resume Next ' a function works without it
    Application.MacroOptions Macro:="'" & ThisWorkbook.Name & "'!" & Name, Description:=Help, Category:=14, ArgumentDescriptions:=Arguments
End Sub
