// The WebSocket of one book: requests with replies, and a new connection when one is lost.

import type { Failure, FromServer, Reply, ToServer } from "./protocol";

const FIRST_WAIT = 300; // milliseconds before the first new attempt
const LONGEST_WAIT = 4000;

/** The state of the connection: open as soon as the server has said what it is doing. */
export type LinkState = "connecting" | "open" | "lost";

/** What the server refused, or could not do. */
export class Refused extends Error {
  constructor(readonly failure: Failure) {
    super(failure.message);
  }
}

interface Waiting {
  resolve: (reply: Reply) => void;
  reject: (error: Error) => void;
}

export class Connection {
  private socket: WebSocket | null = null;
  private waiting = new Map<number, Waiting>();
  private last = 0;
  private wait = FIRST_WAIT;
  private timer = 0;

  constructor(
    private readonly address: string,
    private readonly receive: (message: FromServer) => void,
    private readonly lose: () => void,
  ) {
    this.connect();
    window.addEventListener("online", () => this.hurry());
    document.addEventListener("visibilitychange", () => document.hidden || this.hurry());
  }

  /** Send a message that nobody answers; it is dropped while there is no connection. */
  send(message: ToServer): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  /** Send a message and wait for its reply; what the server refuses is thrown as `Refused`. */
  request(message: ToServer): Promise<Reply> {
    const socket = this.socket;
    if (socket?.readyState !== WebSocket.OPEN) return Promise.reject(this.lost());
    const id = ++this.last;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      socket.send(JSON.stringify({ ...message, id }));
    });
  }

  private connect(): void {
    const socket = new WebSocket(this.address);
    this.socket = socket;
    socket.onopen = () => {
      this.wait = FIRST_WAIT;
    };
    socket.onmessage = (event) => this.take(JSON.parse(event.data as string) as FromServer);
    socket.onclose = () => {
      if (this.socket !== socket) return;
      this.lose();
      for (const { reject } of this.waiting.values()) reject(this.lost());
      this.waiting.clear();
      this.timer = window.setTimeout(() => this.connect(), this.wait);
      this.wait = Math.min(LONGEST_WAIT, this.wait * 1.6);
    };
  }

  private hurry(): void {
    if (this.socket?.readyState !== WebSocket.CLOSED) return;
    window.clearTimeout(this.timer);
    this.connect();
  }

  private take(message: FromServer): void {
    if (message.type !== "reply") {
      this.receive(message);
      return;
    }
    const waiting = this.waiting.get(message.id);
    this.waiting.delete(message.id);
    if (message.ok) waiting?.resolve(message);
    else waiting?.reject(new Refused(message.error ?? { message: "The server refused, and did not say why." }));
  }

  private lost(): Refused {
    return new Refused({ message: "There is no connection to sgdsheet: nothing was changed." });
  }
}
