Attribute VB_Name = "SgdWindows"
Option Explicit

' What VBA's own words cannot do on Windows: paths in any alphabet, and an object that outlives a reset of VBA.

#If Not Mac Then
    Private Declare PtrSafe Function LoadLibrary Lib "KERNEL32" Alias "LoadLibraryW" (ByVal Path As LongPtr) As LongPtr
    Private Declare PtrSafe Function GetFolder Lib "KERNEL32" Alias "GetCurrentDirectoryW" (ByVal Size As Long, ByVal Text As LongPtr) As Long
    Private Declare PtrSafe Function SetFolder Lib "KERNEL32" Alias "SetCurrentDirectoryW" (ByVal Path As LongPtr) As Long
    Private Declare PtrSafe Function GetVariable Lib "KERNEL32" Alias "GetEnvironmentVariableW" (ByVal Name As LongPtr, ByVal Text As LongPtr, ByVal Size As Long) As Long
    Private Declare PtrSafe Function SetVariable Lib "KERNEL32" Alias "SetEnvironmentVariableW" (ByVal Name As LongPtr, ByVal Text As LongPtr) As Long
    Private Declare PtrSafe Function GetCurrentProcessId Lib "KERNEL32" () As Long
    Private Declare PtrSafe Sub CopyMemory Lib "KERNEL32" Alias "RtlMoveMemory" (ByRef Target As Any, ByRef Source As Any, ByVal Size As LongPtr)
#End If

Private Const LONGEST As Long = 32767
Private Const KEPT_RIBBON As String = "SGDSHEET_RIBBON"

Public Sub SgdLoad(ByVal Path As String, ByRef Done As Boolean)
    #If Not Mac Then
        Done = LoadLibrary(StrPtr(Path)) <> 0
    #End If
End Sub

' Makes a folder the current one, and says which one was. VBA's ChDir and CurDir know the code page of Windows only.
Public Sub SgdEnterFolder(ByVal Folder As String, ByRef Before As String)
    #If Not Mac Then
        Dim Text As String
        Text = String$(LONGEST, " ")
        Before = Left$(Text, GetFolder(LONGEST, StrPtr(Text)))
        SetFolder StrPtr(Folder)
    #End If
End Sub

' Notes where the ribbon's object is: a reset of VBA empties all variables, but not the environment of the process.
Public Sub SgdKeepRibbon(ByVal Ribbon As IRibbonUI)
    #If Not Mac Then
        Dim Name As String
        Dim Text As String
        Name = KEPT_RIBBON
        Text = CStr(GetCurrentProcessId()) & ":" & CStr(ObjPtr(Ribbon))
        SetVariable StrPtr(Name), StrPtr(Text)
    #End If
End Sub

' The object that was noted in this very process: programs that Excel starts inherit its environment.
Public Sub SgdRecallRibbon(ByRef Ribbon As IRibbonUI)
    #If Not Mac Then
        Dim Name As String
        Dim Text As String
        Dim Own As String
        Dim Pointer As LongPtr
        Dim Borrowed As IRibbonUI
        Name = KEPT_RIBBON
        Text = String$(100, " ")
        Text = Left$(Text, GetVariable(StrPtr(Name), StrPtr(Text), 100))
        Own = CStr(GetCurrentProcessId()) & ":"
        If Left$(Text, Len(Own)) <> Own Or Len(Text) > 60 Then Exit Sub
        Pointer = CLngPtr(Mid$(Text, Len(Own) + 1))
        If Pointer = 0 Then Exit Sub
        CopyMemory Borrowed, Pointer, LenB(Pointer) ' nobody counts this reference
        Set Ribbon = Borrowed
        Pointer = 0
        CopyMemory Borrowed, Pointer, LenB(Pointer) ' so that nobody releases it
    #End If
End Sub
