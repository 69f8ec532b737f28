Attribute VB_Name = "SgdRibbon"
Option Explicit

' What the ribbon calls. The buttons' tags name actions; see sgdsheet/apps/excel_addin/ribbon.py for what they do.

Private Ribbon As IRibbonUI
Private States As String ' a line for each workbook: "training", "paused" or "idle", a tab, its full name

Public Sub SgdOnLoad(loaded As IRibbonUI)
    Set Ribbon = loaded
    SgdKeepRibbon loaded
End Sub

Public Sub SgdRefresh()
    ThisWorkbook.SgdWatch ' a reset of VBA has emptied both
    If Ribbon Is Nothing Then SgdRecallRibbon Ribbon
    If Not Ribbon Is Nothing Then Ribbon.Invalidate
End Sub

' The background trainer tells the add-in what it is doing with a workbook.
Public Sub SgdState(ByVal NewState As String, ByVal Book As String)
    Dim Known() As String
    Dim Kept As String
    Dim Index As Long
    Known = Split(States, vbLf)
    For Index = 0 To UBound(Known)
        If Known(Index) <> "" And Mid$(Known(Index), InStr(Known(Index), vbTab) + 1) <> Book Then
            Kept = Kept & Known(Index) & vbLf
        End If
    Next Index
    If NewState <> "" Then Kept = Kept & NewState & vbTab & Book & vbLf
    States = Kept
    SgdRefresh
End Sub

Private Sub FindState(ByRef State As String)
    Dim Known() As String
    Dim Index As Long
    State = ""
    If ActiveWorkbook Is Nothing Then Exit Sub
    Known = Split(States, vbLf)
    For Index = 0 To UBound(Known)
        If Mid$(Known(Index), InStr(Known(Index), vbTab) + 1) = ActiveWorkbook.FullName Then
            State = Left$(Known(Index), InStr(Known(Index), vbTab) - 1)
        End If
    Next Index
End Sub

Public Sub SgdAction(control As IRibbonControl)
    SgdPress control.Tag
End Sub

' What a button does; "sgdsheet addin verify" presses it by its action.
Public Sub SgdPress(ByVal Action As String)
    Select Case Action
        Case "highlight"
            SgdHighlight
        Case "about"
            MsgBox SGD_ABOUT, vbInformation, "About sgdsheet"
        Case Else
            If Action = "stop" And Not ActiveWorkbook Is Nothing Then SgdState "", ActiveWorkbook.FullName
            RunPython Action
    End Select
    SgdRefresh
End Sub

Public Sub SgdEnabled(control As IRibbonControl, ByRef enabled)
    Dim Model As Boolean
    Dim State As String
    enabled = True
    If IsAmong(SGD_ALWAYS, control.Tag) Then Exit Sub
    enabled = False
    If ActiveWorkbook Is Nothing Then Exit Sub
    If Not TypeOf ActiveSheet Is Worksheet Then Exit Sub
    FindState State
    If Not IsAmong(SGD_WITHOUT_MODEL, control.Tag) Then
        SgdHasModel ActiveSheet, Model
        If Not Model Then Exit Sub
    End If
    If IsAmong(SGD_IN_ANY_STATE, control.Tag) Then
        enabled = True
    ElseIf IsAmong(SGD_WHILE_TRAINING, control.Tag) Then
        enabled = State <> "idle"
    Else
        enabled = State <> "training"
    End If
End Sub

Public Sub SgdSettingText(control As IRibbonControl, ByRef text)
    Dim Shown As String
    ShowSetting control.Tag, Shown
    text = Shown
End Sub

Public Sub SgdSettingChanged(control As IRibbonControl, text As String)
    SgdWriteSetting control.Tag, text
    SgdRefresh
End Sub

Public Sub SgdOptimizerID(control As IRibbonControl, ByRef itemID)
    Dim Name As String
    ShowSetting "optimizer", Name
    SgdNormalise Name
    If Not IsAmong(SGD_OPTIMIZERS, Name) Then Name = "auto"
    itemID = "optimizer_" & Name
End Sub

Public Sub SgdOptimizerChosen(control As IRibbonControl, selectedId As String, selectedIndex As Integer)
    Dim Names() As String
    Names = Split(SGD_OPTIMIZERS, "|")
    If selectedIndex < 0 Or selectedIndex > UBound(Names) Then Exit Sub
    SgdWriteSetting "optimizer", Names(selectedIndex)
    SgdRefresh
End Sub

Private Sub ShowSetting(ByVal Key As String, ByRef Shown As String)
    Shown = ""
    If ActiveWorkbook Is Nothing Then Exit Sub
    If Not TypeOf ActiveSheet Is Worksheet Then Exit Sub
    SgdReadSetting ActiveSheet, Key, Shown
End Sub

Private Function IsAmong(ByVal Names As String, ByVal Name As String) As Boolean
    IsAmong = InStr(1, "|" & Names & "|", "|" & Name & "|", vbBinaryCompare) > 0
End Function
