/* Runs a program with variables of the environment in any alphabet: environment PROGRAM NAME VALUE NAME VALUE … */
#include <windows.h>

int wmain(int count, wchar_t **arguments) {
    STARTUPINFOW start = {.cb = sizeof start};
    PROCESS_INFORMATION process;
    DWORD status = 1;
    int number;
    if (count < 2) return 2;
    for (number = 2; number + 1 < count; number += 2) SetEnvironmentVariableW(arguments[number], arguments[number + 1]);
    if (!CreateProcessW(NULL, arguments[1], NULL, NULL, TRUE, 0, NULL, NULL, &start, &process)) return 1;
    WaitForSingleObject(process.hProcess, INFINITE);
    GetExitCodeProcess(process.hProcess, &status);
    return status;
}
