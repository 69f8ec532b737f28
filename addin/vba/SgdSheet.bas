Attribute VB_Name = "SgdSheet"
Option Explicit

' What the ribbon reads and writes in the active sheet by itself: settings, and which cells belong to the model.

Private Const TITLE As String = "sgdsheet"
Private HighlightStep As Integer
Private Message As String ' what we wrote into the status bar and nobody has taken away yet
Private MessageUntil As Date
Private Pending As String ' what a function has to say when the calculation is over
Private Const REASON_SECONDS As Integer = 2 ' the Enter that ends a formula moves the selection, too

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

' Letters and digits only, A to Z in lower case: names of settings and of optimizers are compared by these.
Public Sub SgdNormalise(ByRef Text As String)
    Dim Position As Long
    Dim Code As Long
    Dim Result As String
    For Position = 1 To Len(Text)
        Code = AscW(Mid$(Text, Position, 1)) And &HFFFF&
        If Code >= 65 And Code <= 90 Then Code = Code + 32
        If Not IsMark(Code) Then Result = Result & ChrW(Code)
    Next Position
    Text = Result
End Sub

' Whether a character is no letter and no digit. The table has ranges of four hexadecimal digits each way.
Private Function IsMark(ByVal Code As Long) As Boolean
    Dim Position As Long
    For Position = 1 To Len(SGD_MARKS) Step 8
        If Code < CLng("&H" & Mid$(SGD_MARKS, Position, 4) & "&") Then Exit Function
        If Code <= CLng("&H" & Mid$(SGD_MARKS, Position + 4, 4) & "&") Then
            IsMark = True
            Exit Function
        End If
    Next Position
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
    Dim Label As String
    Set Cell = Nothing
    If Area Is Nothing Then Exit Sub
    If Area.Columns.Count <> 2 Then Exit Sub
    SgdNormalise Key
    For Row = 1 To Area.Rows.Count
        If Not IsError(Area.Cells(Row, 1).Value2) Then
            Label = CStr(Area.Cells(Row, 1).Value2)
            SgdNormalise Label
            If Label = Key Then Set Cell = Area.Cells(Row, 2)
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
    If IsError(Cell.Value2) Then Exit Sub
    Shown = CStr(Cell.Value2) ' Value would cut a currency to four decimals
    If VarType(Cell.Value2) = vbDouble Then Shown = Replace(Shown, Mid$(CStr(0.5), 2, 1), DecimalMark())
End Sub

Public Sub SgdWriteSetting(ByVal Key As String, ByVal Text As String)
    Dim Sheet As Worksheet
    Dim Area As Range
    Dim Cell As Range
    Dim Number As Double
    If PartOf(SGD_SETTING_LABELS, Key) = "" Then Exit Sub
    Text = Trim$(Text)
    If Key <> "optimizer" And Text <> "" And Not IsPossible(Key, Text, Number) Then
        MsgBox PartOf(SGD_SETTING_LABELS, Key) & " must be " & PartOf(SGD_SETTING_ALLOWED, Key) & ", such as " & Replace(PartOf(SGD_SETTING_EXAMPLES, Key), ".", DecimalMark()) & ".", vbExclamation, TITLE
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
    ElseIf Text = "" Then
        Cell.ClearContents
    ElseIf Key = "optimizer" Then
        Cell.Value = Text
    Else
        Cell.Value = Number
    End If
    Exit Sub
Failed:
    MsgBox "The setting cannot be written. Is the sheet protected?", vbExclamation, TITLE
End Sub

' The mark that Excel writes before decimals: not always that of Windows, which VBA's own words take.
Private Function DecimalMark() As String
    DecimalMark = Application.International(xlDecimalSeparator)
End Function

Private Function IsPossible(ByVal Key As String, ByVal Text As String, ByRef Number As Double) As Boolean
    If Not IsWritten(Text, Number) Then Exit Function
    If Number < Val(PartOf(SGD_SETTING_LOWEST, Key)) Then Exit Function
    If PartOf(SGD_SETTING_ABOVE, Key) <> "" And Number = Val(PartOf(SGD_SETTING_LOWEST, Key)) Then Exit Function
    If PartOf(SGD_SETTING_HIGHEST, Key) <> "" And Number > Val(PartOf(SGD_SETTING_HIGHEST, Key)) Then Exit Function
    If PartOf(SGD_SETTING_WHOLE, Key) <> "" And Number <> Int(Number) Then Exit Function
    IsPossible = True
End Function

' A number with Excel's decimal mark, without marks between thousands, which could be another's decimal mark.
Private Function IsWritten(ByVal Text As String, ByRef Number As Double) As Boolean
    Dim Position As Long
    Dim Digits As Long
    Dim Marks As Long
    Dim Powers As Long
    Dim Before As String
    On Error GoTo TooLarge
    If DecimalMark() <> "." And InStr(Text, ".") > 0 Then Exit Function
    Text = LCase$(Replace(Text, DecimalMark(), "."))
    For Position = 1 To Len(Text)
        Select Case Mid$(Text, Position, 1)
            Case "0", "1", "2", "3", "4", "5", "6", "7", "8", "9"
                Digits = Digits + 1
            Case "."
                Marks = Marks + 1
                If Marks + Powers > 1 Then Exit Function
            Case "e"
                Powers = Powers + 1
                If Powers > 1 Or Digits = 0 Then Exit Function
                Digits = 0
            Case "+", "-"
                If Before <> "" And Before <> "e" Then Exit Function
            Case Else
                Exit Function
        End Select
        Before = Mid$(Text, Position, 1)
    Next Position
    If Digits = 0 Then Exit Function
    Number = Val(Text)
    IsWritten = Abs(Number) < 1E+308
TooLarge:
End Function

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
    Area.Select
    SgdShowMessage Texts(HighlightStep) & " of this sheet: " & Area.Address(False, False), 0
    HighlightStep = (HighlightStep + 1) Mod (UBound(Kinds) + 1)
End Sub

' --- the status bar ---

Public Sub SgdShowMessage(ByVal Text As String, ByVal Seconds As Integer)
    Message = Left$("SGD: " & Text, 250)
    MessageUntil = DateAdd("s", Seconds, Now)
    Application.StatusBar = Message
End Sub

' While a function is calculated, nothing of Excel may change: what it has to say waits for the end.
Public Sub SgdShowLater(ByVal Text As String)
    Pending = Text
End Sub

Public Sub SgdShowPending()
    Dim Text As String
    Text = Pending
    Pending = ""
    If Text <> "" Then SgdShowMessage Text, REASON_SECONDS
End Sub

' Gives the status bar back when the person goes on, unless somebody else has written into it meanwhile.
Public Sub SgdEndMessage()
    If Message = "" Or Now < MessageUntil Then Exit Sub
    If CStr(Application.StatusBar) = Message Then Application.StatusBar = False
    Message = ""
End Sub
