// The books that were open before, the newest first.

export interface RecentBook {
  index: number;
  name: string;
  folder: string;
  /** Seconds since 1970. */
  opened: number;
}

export function Recent({ books, onOpen }: { books: RecentBook[]; onOpen: (book: RecentBook) => void }): JSX.Element {
  return (
    <section className="recent" aria-labelledby="recent">
      <h2 id="recent">Recent</h2>
      <ul>
        {books.map((book) => (
          <li key={book.index}>
            <button type="button" onClick={() => onOpen(book)}>
              <b>{book.name}</b>
              <small title={book.folder}>{book.folder}</small>
              <time dateTime={new Date(book.opened * 1000).toISOString()}>{ago(book.opened)}</time>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

const UNITS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["year", 31_557_600],
  ["month", 2_629_800],
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
];

/** When, in the words of a person. */
function ago(when: number): string {
  const seconds = Date.now() / 1000 - when;
  const words = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  const unit = UNITS.find(([, size]) => seconds >= size);
  return unit ? words.format(-Math.floor(seconds / unit[1]), unit[0]) : "just now";
}
