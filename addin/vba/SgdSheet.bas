Attribute VB_Name = "SgdSheet"
Option Explicit

' What the ribbon reads and writes in the active sheet by itself: settings, and which cells belong to the model.

Private Const TITLE As String = "sgdsheet"
Private HighlightStep As Integer
Private Highlighting As Boolean

' The cells of a name of the sheet, else of a name of the workbook that points to the sheet; or nothing.
Private Sub FindArea(ByVal Sheet As Worksheet, ByVal Name As String, ByRef Area As Range)
    Set Area = Nothing
    On Error Resume Next
    Set Area = Sheet.Range(Name)
    If Not Area Is Nothing Then
        If Area.Worksheet.Name <> Sheet.Name Then Set Area = Nothing
    End If
End Sub

Public Sub SgdHasModel(ByVal Sheet As Worksheet, ByRef Found As Boolean)
    Dim Area As Range
    FindArea Sheet, "sgd_loss", Area
    If Area Is Nothing Then FindArea Sheet, "solver_opt", Area
    Found = Not Area Is Nothing
End Sub

' --- settings ---

Private Function Plain(ByVal Text As String) As String
    Plain = Replace(Replace(Replace(LCase$(Trim$(Text)), " ", ""), "_", ""), "-", "")
End Function

Private Function PartOf(ByVal List As String, ByVal Key As String) As String
    Dim Keys() As String
    Dim Parts() As String
    Dim Index As Integer
    Keys = Split(SGD_SETTING_KEYS, "|")
    Parts = Split(List, "|")
    For Index = 0 To UBound(Keys)
        If Keys(Index) = Key Then PartOf = Parts(Index)
    Next Index
End Function

Private Sub FindSetting(ByVal Area As Range, ByVal Key As String, ByRef Cell As Range)
    Dim Row As Long
    Set Cell = Nothing
    If Area Is Nothing Then Exit Sub
    If Area.Columns.Count <> 2 Then Exit Sub
    For Row = 1 To Area.Rows.Count
        If Not IsError(Area.Cells(Row, 1).Value) Then
            If Plain(CStr(Area.Cells(Row, 1).Value)) = Plain(Key) Then Set Cell = Area.Cells(Row, 2)
        End If
    Next Row
End Sub

Public Sub SgdReadSetting(ByVal Sheet As Worksheet, ByVal Key As String, ByRef Shown As String)
    Dim Area As Range
    Dim Cell As Range
    Shown = ""
    FindArea Sheet, "sgd_settings", Area
    FindSetting Area, Key, Cell
    If Cell Is Nothing Then Exit Sub
    If Not IsError(Cell.Value) Then Shown = CStr(Cell.Value)
End Sub

Public Sub SgdWriteSetting(ByVal Key As String, ByVal Text As String)
    Dim Sheet As Worksheet
    Dim Area As Range
    Dim Cell As Range
    If PartOf(SGD_SETTING_LABELS, Key) = "" Then Exit Sub
    If Key <> "optimizer" And Trim$(Text) <> "" And Not IsNumeric(Text) Then
        MsgBox PartOf(SGD_SETTING_LABELS, Key) & " must be " & PartOf(SGD_SETTING_ALLOWED, Key) & ".", vbExclamation, TITLE
        Exit Sub
    End If
    Set Sheet = ActiveSheet
    On Error GoTo Failed
    FindArea Sheet, "sgd_settings", Area
    If Area Is Nothing Then NewSettings Sheet, Area
    FindSetting Area, Key, Cell
    If Cell Is Nothing Then AddSetting Sheet, Area, Key, Cell
    If Cell Is Nothing Then
        MsgBox "There is no room for another row below the settings. Insert a row there.", vbExclamation, TITLE
    ElseIf Cell.HasFormula Then
        MsgBox "The setting is calculated by a formula in " & Cell.Address(False, False) & ". Change it there.", vbExclamation, TITLE
    ElseIf Trim$(Text) = "" Then
        Cell.ClearContents
    ElseIf Key = "optimizer" Then
        Cell.Value = Text
    Else
        Cell.Value = CDbl(Text)
    End If
    Exit Sub
Failed:
    MsgBox "The setting cannot be written. Is the sheet protected?", vbExclamation, TITLE
End Sub

' To the right of all that is there, with an empty column between.
Private Sub NewSettings(ByVal Sheet As Worksheet, ByRef Area As Range)
    Dim Labels() As String
    Dim Index As Integer
    Dim Column As Long
    Labels = Split(SGD_SETTING_LABELS, "|")
    Column = Sheet.UsedRange.Column + Sheet.UsedRange.Columns.Count + 1
    For Index = 0 To UBound(Labels)
        Sheet.Cells(Index + 1, Column).Value = Labels(Index)
    Next Index
    Set Area = Sheet.Range(Sheet.Cells(1, Column), Sheet.Cells(UBound(Labels) + 1, Column + 1))
    NameSettings Sheet, Area
End Sub

Private Sub AddSetting(ByVal Sheet As Worksheet, ByVal Area As Range, ByVal Key As String, ByRef Cell As Range)
    Dim Row As Long
    Row = Area.Row + Area.Rows.Count
    If CStr(Sheet.Cells(Row, Area.Column).Formula) & CStr(Sheet.Cells(Row, Area.Column + 1).Formula) <> "" Then Exit Sub
    Sheet.Cells(Row, Area.Column).Value = PartOf(SGD_SETTING_LABELS, Key)
    NameSettings Sheet, Sheet.Range(Area.Cells(1, 1), Sheet.Cells(Row, Area.Column + 1))
    Set Cell = Sheet.Cells(Row, Area.Column + 1)
End Sub

Private Sub NameSettings(ByVal Sheet As Worksheet, ByVal Area As Range)
    Dim Quoted As String
    Quoted = "'" & Replace(Sheet.Name, "'", "''") & "'!"
    Sheet.Names.Add Name:="sgd_settings", RefersTo:="=" & Quoted & Area.Address
End Sub

' --- highlighting ---

' Selects the loss, then the parameters, then the data rows, then the settings, one kind per press.
Public Sub SgdHighlight()
    Dim Kinds() As String
    Dim Texts() As String
    Dim Area As Range
    Dim Tries As Integer
    Kinds = Split("sgd_loss sgd_params sgd_data sgd_settings", " ")
    Texts = Split("the loss|the parameters|the data rows|the settings", "|")
    For Tries = 0 To UBound(Kinds)
        FindArea ActiveSheet, Kinds(HighlightStep), Area
        If Area Is Nothing And HighlightStep = 0 Then FindArea ActiveSheet, "solver_opt", Area
        If Area Is Nothing And HighlightStep = 1 Then FindArea ActiveSheet, "solver_adj", Area
        If Not Area Is Nothing Then Exit For
        HighlightStep = (HighlightStep + 1) Mod (UBound(Kinds) + 1)
    Next Tries
    If Area Is Nothing Then Exit Sub
    Highlighting = False
    Area.Select
    Application.StatusBar = "SGD: " & Texts(HighlightStep) & " of this sheet: " & Area.Address(False, False)
    Highlighting = True
    HighlightStep = (HighlightStep + 1) Mod (UBound(Kinds) + 1)
End Sub

' Gives the status bar back when the person goes on.
Public Sub SgdEndHighlight()
    If Not Highlighting Then Exit Sub
    Highlighting = False
    Application.StatusBar = False
End Sub
