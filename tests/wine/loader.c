/* Stands for Excel: loads a library of xlwings as the add-in does, and has it start Python.

   loader LIBRARY PROCEDURE FOLDER COMMAND; prints what came of each step, a line each, in UTF-8. */
#include <windows.h>
#include <stdio.h>

typedef HRESULT(__stdcall *Activate)(VARIANT *result, const char *command, long mode);

static void say(const wchar_t *text) {
    static char bytes[98304];
    WideCharToMultiByte(CP_UTF8, 0, text, -1, bytes, sizeof bytes, NULL, NULL);
    printf("%s\n", bytes);
}

int wmain(int count, wchar_t **arguments) {
    static char command[4096];
    static wchar_t before[32768], after[32768];
    VARIANT result;
    if (count != 5) return 2;
    CoInitialize(NULL);
    HMODULE library = LoadLibraryW(arguments[1]);
    printf("library %s\n", library ? "loaded" : "missing");
    if (!library) return 1;
    char name[200];
    WideCharToMultiByte(CP_ACP, 0, arguments[2], -1, name, sizeof name, NULL, NULL);
    Activate activate = (Activate)(void *)GetProcAddress(library, name);
    printf("procedure %s\n", activate ? "found" : "missing");
    if (!activate) return 1;
    BOOL lost = FALSE;
    WideCharToMultiByte(CP_ACP, WC_NO_BEST_FIT_CHARS, arguments[4], -1, command, sizeof command, NULL, &lost);
    printf("command %s\n", lost ? "damaged" : "whole");
    GetCurrentDirectoryW(32000, before);
    SetCurrentDirectoryW(arguments[3]);
    VariantInit(&result);
    HRESULT status = activate(&result, command, 1);
    SetCurrentDirectoryW(before);
    GetCurrentDirectoryW(32000, after);
    printf("folder %s\n", lstrcmpW(before, after) ? "lost" : "restored");
    printf("status %lx\n", (unsigned long)status);
    if (result.vt == VT_BSTR) say(result.bstrVal);
    return 0;
}
