// The examples that come with sgdsheet, each with its picture. What is opened is a copy.

export interface Example {
  name: string;
  title: string;
  /** The chapter of the tour that it belongs to. */
  chapter: string;
  description: string;
  picture: string | null;
}

const EXPECTED = 18; // cards that hold the place until the list is there

interface Props {
  examples: Example[] | null;
  busy: string;
  onOpen: (example: Example) => void;
}

export function Examples({ examples, busy, onOpen }: Props): JSX.Element {
  return (
    <section className="examples" aria-labelledby="examples" aria-busy={examples === null}>
      <h2 id="examples">Examples</h2>
      {examples === null ? (
        <ul>
          {Array.from({ length: EXPECTED }, (_, place) => (
            <li key={place} className="card empty" aria-hidden="true" />
          ))}
        </ul>
      ) : (
        chapters(examples).map(([chapter, cards]) => (
          <div key={chapter} className="chapter">
            <h3>{chapter}</h3>
            <ul>
              {cards.map((example) => (
                <li key={example.name} className={`card ${busy === example.name ? "busy" : ""}`}>
                  <button type="button" onClick={() => onOpen(example)}>
                    <span className="card-picture">
                      {example.picture && <img src={example.picture} alt="" loading="lazy" decoding="async" />}
                    </span>
                    <b>{example.title}</b>
                    <span className="card-text">{example.description}</span>
                  </button>
                </li>
              ))}
            </ul>
          </div>
        ))
      )}
    </section>
  );
}

/** The examples by chapter, in the order in which they come. */
function chapters(examples: Example[]): [string, Example[]][] {
  const found = new Map<string, Example[]>();
  for (const example of examples) {
    found.set(example.chapter, [...(found.get(example.chapter) ?? []), example]);
  }
  return [...found];
}
