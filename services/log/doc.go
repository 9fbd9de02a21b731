// Package log keeps what programs and the kernel say, as rows of os.logs.
//
//	slog.SetDefault(slog.New(service.Handler()))
//	slog.InfoContext(ctx, "order taken", "order", 7)
//
//	for line, err := range service.Read(ctx, log.Query{Least: slog.LevelWarn, Follow: true}) { ... }
//
// A line goes to a queue in memory, and from there with all others that wait to
// the table, in one transaction, a tenth of a second later at most; lines of level
// Error and above at once. Who logs never waits. If the queue is full the line is
// lost, and a line says how many were.
//
//	Handler ──► queue (bounded) ──► writer: one transaction ──► os.logs ──► Read
//	kernel's ring ─────────────────────┘        └── trims what is too old or too much
//
// A line has the version that was the newest when it was said, so that the state
// which the program saw can be looked at: ViewAt(line.Version).
//
// The size of the log and its age are settings (log.size, log.age), as is the
// least level that is kept (log.level). History of the table is kept as shortly as
// the engine allows: a line that was trimmed is gone.
//
// The package owns os.logs. It may import dbms, and packages config and user. It
// guarantees that lines of one goroutine stay in order, and that Sync and Close
// make durable what was said before. It refuses lines of more than 64 KiB: their
// attributes are left out, and their text is cut.
package log
