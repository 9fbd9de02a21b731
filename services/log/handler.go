package log

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/tuplix/tuplix/services/user"
)

// maxLine is how large a line may be, in bytes of text and attributes.
const maxLine = 64 << 10

// handler is the slog.Handler of a Service. What With and WithGroup gave it is
// kept as slog gave it, in the order of the calls.
type handler struct {
	service *Service
	scopes  []scope
}

// scope is attributes, or a group for all that follows.
type scope struct {
	group string
	attrs []slog.Attr
}

// Handler returns what log/slog needs to write into the table. The caller (package
// user) and the span come from the context of each call.
func (s *Service) Handler() slog.Handler { return handler{service: s} }

func (h handler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= Least.In(h.service.config)
}

func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	return handler{h.service, append(slices.Clip(h.scopes), scope{attrs: attrs})}
}

func (h handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return handler{h.service, append(slices.Clip(h.scopes), scope{group: name})}
}

// Handle never blocks. Its error is always nil: what is lost is counted, and told
// in a line of its own.
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	caller := user.From(ctx)
	line := Line{
		At: r.Time, Level: clampLevel(r.Level), Message: r.Message, Attrs: h.attrs(&r), Source: source(r.PC),
		User: caller.User, Program: caller.Program, Task: caller.Task, Version: []byte(h.service.version(ctx)),
	}
	if line.At.IsZero() {
		line.At = h.service.now()
	}
	if trace, span, ok := SpanFrom(ctx); ok {
		line.Trace, line.Span = sql.Null[[16]byte]{V: trace, Valid: true}, sql.Null[int64]{V: span, Valid: true}
	}
	h.service.add(cut(line))
	return nil
}

func clampLevel(l slog.Level) int16 { return int16(min(max(l, -1<<15), 1<<15-1)) }

// cut makes a line small enough.
func cut(line Line) Line {
	if len(line.Message)+len(line.Attrs) <= maxLine {
		return line
	}
	line.Attrs = json.RawMessage(fmt.Sprintf(`{"left_out":"%d bytes"}`, len(line.Attrs)))
	line.Message = line.Message[:min(len(line.Message), maxLine-len(line.Attrs))]
	return line
}

// source is where the program said it.
func source(pc uintptr) string {
	if pc == 0 {
		return ""
	}
	f, _ := runtime.CallersFrames([]uintptr{pc}).Next()
	return filepath.Base(f.File) + ":" + strconv.Itoa(f.Line)
}

// attrs encodes what the handler and the record have, groups as objects.
func (h handler) attrs(r *slog.Record) json.RawMessage {
	root := object{}
	here := root
	for _, s := range h.scopes {
		if s.group != "" {
			here = here.group(s.group)
		}
		here.add(s.attrs...)
	}
	r.Attrs(func(a slog.Attr) bool {
		here.add(a)
		return true
	})
	root.prune()
	text, err := json.Marshal(root)
	if err != nil {
		text, _ = json.Marshal(object{"unencodable": err.Error()})
	}
	return text
}

// object is a JSON object that is put together.
type object map[string]any

func (o object) group(name string) object {
	if inner, ok := o[name].(object); ok {
		return inner
	}
	inner := object{}
	o[name] = inner
	return inner
}

func (o object) add(attrs ...slog.Attr) {
	for _, a := range attrs {
		v := a.Value.Resolve()
		switch {
		case a.Equal(slog.Attr{}):
		case v.Kind() != slog.KindGroup:
			o[a.Key] = plain(v)
		case a.Key == "":
			o.add(v.Group()...)
		default:
			o.group(a.Key).add(v.Group()...)
		}
	}
}

// prune removes groups in which nothing is, as slog asks.
func (o object) prune() {
	for name, v := range o {
		if inner, ok := v.(object); ok {
			if inner.prune(); len(inner) == 0 {
				delete(o, name)
			}
		}
	}
}

// plain is a value as JSON can show it.
func plain(v slog.Value) any {
	switch v.Kind() {
	case slog.KindDuration:
		return v.Duration().String()
	case slog.KindTime:
		return v.Time().Format(time.RFC3339Nano)
	case slog.KindFloat64:
		if f := v.Float64(); f-f != 0 { // NaN and infinities
			return strconv.FormatFloat(f, 'g', -1, 64)
		}
	case slog.KindAny:
		switch x := v.Any().(type) {
		case json.Marshaler:
		case error:
			return x.Error()
		case fmt.Stringer:
			return x.String()
		default:
			if _, err := json.Marshal(x); err != nil {
				return fmt.Sprintf("%+v", x)
			}
		}
	}
	return v.Any()
}

// spanKey is the key of the span in a context.
type spanKey struct{}

type spanIDs struct {
	trace [16]byte
	span  int64
}

// WithSpan returns a context whose lines belong to a span.
func WithSpan(ctx context.Context, trace [16]byte, span int64) context.Context {
	return context.WithValue(ctx, spanKey{}, spanIDs{trace, span})
}

// SpanFrom returns the span of a context, if it has one.
func SpanFrom(ctx context.Context) (trace [16]byte, span int64, ok bool) {
	s, ok := ctx.Value(spanKey{}).(spanIDs)
	return s.trace, s.span, ok
}
