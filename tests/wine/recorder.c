/* Stands for python.exe: notes how it was started in a file beside itself, a line for each argument and one for the
   current folder. Asked for a reply, it writes one where it is asked to, and ends as a click that went wrong. */
#include <windows.h>

static void put(HANDLE file, const wchar_t *text) {
    DWORD done;
    WriteFile(file, text, 2 * lstrlenW(text), &done, NULL);
}

static HANDLE fresh(const wchar_t *path) {
    HANDLE file = CreateFileW(path, GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, FILE_ATTRIBUTE_NORMAL, NULL);
    put(file, L"\xfeff");
    return file;
}

static int digit(wchar_t letter) { return letter <= L'9' ? letter - L'0' : letter - L'A' + 10; }

int wmain(int count, wchar_t **arguments) {
    static wchar_t path[32768], folder[32768];
    int number, status = 0;
    GetModuleFileNameW(NULL, path, 32000);
    lstrcatW(path, L".txt");
    HANDLE file = fresh(path);
    for (number = 0; number < count; number++) {
        wchar_t *text = arguments[number];
        put(file, text);
        put(file, L"\n");
        if (CompareStringW(LOCALE_INVARIANT, 0, text, 8, L"--reply=", 8) == CSTR_EQUAL) {
            wchar_t *letter = text + 8, *end = path;
            for (; letter[0] && letter[1] && letter[2] && letter[3]; letter += 4)
                *end++ = digit(letter[0]) << 12 | digit(letter[1]) << 8 | digit(letter[2]) << 4 | digit(letter[3]);
            *end = 0;
            HANDLE reply = fresh(path);
            put(reply, L"n\xe4ht \x2013 \x6570: wrong");
            CloseHandle(reply);
            status = 3;
        }
    }
    GetCurrentDirectoryW(32000, folder);
    put(file, folder);
    put(file, L"\n");
    CloseHandle(file);
    return status;
}
