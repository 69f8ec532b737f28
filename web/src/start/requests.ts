// Opening a book from the start page; what goes wrong is thrown, as a sentence for a person.

interface Answer {
  book?: string;
  error?: { message: string; remedy?: string | null };
}

const LARGEST = 100 * 1024 * 1024; // bytes that the server takes

export function openBook(which: { example: string } | { recent: number }): Promise<void> {
  return open("/api/open", { headers: { "Content-Type": "application/json" }, body: JSON.stringify(which) });
}

export function upload(file: File): Promise<void> {
  if (file.size > LARGEST) {
    return Promise.reject(new Error(`${file.name} has more than 100 MB. Open it in the terminal: sgdsheet open FILE`));
  }
  return open(`/api/upload?name=${encodeURIComponent(file.name)}`, { body: file });
}

async function open(address: string, request: RequestInit): Promise<void> {
  let answer: Answer;
  try {
    const response = await fetch(address, { method: "POST", ...request });
    answer = (await response.json()) as Answer;
  } catch {
    throw new Error("sgdsheet does not answer any more. Start it again: sgdsheet open");
  }
  if (!answer.book) throw new Error(answer.error?.message ?? "The workbook could not be opened.");
  location.assign(`/book/${answer.book}`);
}
