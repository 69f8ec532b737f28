Attribute VB_Name = "SgdCells"
Option Explicit
Option Private Module

' Reads and writes cells in one turn: while a procedure runs, Excel takes no key, no paste and no undo.

Private Const HAS_FORMULA As String = "formula"

' Puts values into an area, and returns what stood there just before, as rows. If nothing was written, the answer is a
' text that says why. Only our own Python calls this: what is public here could be called by a formula in any workbook,
' which gets nothing.
Public Function SgdExchange(ByVal Book As String, ByVal Sheet As String, ByVal Address As String, ByVal Values As Variant) As Variant
    Dim Area As Range
    Dim Before As Variant
    Dim Found As Variant
    Dim One(1 To 1, 1 To 1) As Variant
    If TypeName(Application.Caller) = "Range" Then Exit Function
    On Error GoTo Failed
    Set Area = Workbooks(Book).Worksheets(Sheet).Range(Address)
    Found = Area.HasFormula ' neither True nor False where some cells have one
    If IsNull(Found) Then Found = True
    If Found Then
        SgdExchange = HAS_FORMULA
        Exit Function
    End If
    Before = Area.Value2
    Area.Value2 = Values
    If IsArray(Before) Then
        SgdExchange = Before
    Else
        One(1, 1) = Before
        SgdExchange = One
    End If
    Exit Function
Failed:
    SgdExchange = "Excel: " & Err.Description
End Function
