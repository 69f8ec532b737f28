// What hinders the training, as sentences that lead to the cells.

import { areaName } from "../address";
import { goTo } from "../live";
import type { Finding } from "../protocol";

export function Findings({ findings }: { findings: Finding[] }): JSX.Element {
  return (
    <ul className="findings" aria-live="polite">
      {findings.map((finding, place) => (
        <li key={place} className={finding.level}>
          <p>{finding.text}</p>
          {finding.area && (
            <button type="button" className="link" onClick={() => finding.area && goTo(finding.sheet, finding.area)}>
              Show {areaName(finding.area)}
            </button>
          )}
        </li>
      ))}
    </ul>
  );
}
