// Package trace keeps spans: what was done within what, from when to when.
//
//	ctx, span := service.Start(ctx, "order", slog.Int("id", 7))
//	defer func() { span.End(err) }()
//	slog.InfoContext(ctx, "taken") // the line has the ids of the span
//
// The ids are those of OpenTelemetry: 16 bytes for a trace, 8 for a span. Those of
// another system come and go as a header (Remote, Header; W3C Trace Context).
//
// A span that ends goes to a queue in memory, and from there with all others that
// wait to os.spans, in one transaction, a fifth of a second later at most. Who ends
// one never waits; if the queue is full the span is lost, and counted.
//
// Where trace.otlp names a collector, spans are sent there, too, by OTLP over HTTP as JSON
// (opentelemetry.io/docs/specs/otlp), when their rows are written. They are sent once: what
// a collector does not take is told to Failed, and is in the table.
//
// The number of spans and their age are settings (trace.most, trace.age). History of
// the table is kept as shortly as the engine allows.
//
// The package owns os.spans. It may import dbms, and packages config, log and user.
// It guarantees that Close writes what has ended before. It refuses attributes of
// more than 16 KiB, which are left out. There is no sampling.
package trace
