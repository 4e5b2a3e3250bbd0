/** What opens and closes. `create` only constructs: no I/O before `open`. */
export interface Lifecycle {
  /** Ready for use when it resolves. Called once; a rejection leaves nothing open. */
  open(): Promise<void>;
  /** Waits for running calls, makes durable what is owed, releases everything. Idempotent, also before `open` and after a failed `open`. */
  close(): Promise<void>;
}
