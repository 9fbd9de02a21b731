package trace

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/tuplix/tuplix/services/log"
	"github.com/tuplix/tuplix/services/user"
)

// maxAttrs is how many bytes of attributes a span may have.
const maxAttrs = 16 << 10

// Span is something that is being done. Its methods may be called concurrently.
type Span struct {
	service *Service

	mu    sync.Mutex
	row   Row
	attrs map[string]any
	ended bool
}

// Start begins a span, within that of ctx if there is one. The returned context has
// it; lines that are logged with that carry its ids.
func (s *Service) Start(ctx context.Context, name string, attrs ...slog.Attr) (context.Context, *Span) {
	caller := user.From(ctx)
	x := &Span{service: s, attrs: map[string]any{}, row: Row{
		Span: newID(), Name: name, Start: s.o.Now(), User: caller.User, Program: caller.Program, Task: caller.Task,
	}}
	if trace, parent, ok := log.SpanFrom(ctx); ok {
		x.row.Trace, x.row.Parent = trace, parent
	} else {
		rand.Read(x.row.Trace[:]) // never fails (crypto/rand)
	}
	x.Set(attrs...)
	return log.WithSpan(ctx, x.row.Trace, x.row.Span), x
}

// newID is a number that is not 0.
func newID() int64 {
	for {
		var b [8]byte
		rand.Read(b[:]) // as above
		if id := int64(binary.BigEndian.Uint64(b[:])); id != 0 {
			return id
		}
	}
}

// Set adds attributes, or replaces those of the same names.
func (x *Span) Set(attrs ...slog.Attr) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, a := range attrs {
		v := a.Value.Resolve()
		switch v.Kind() {
		case slog.KindString, slog.KindInt64, slog.KindUint64, slog.KindBool:
			x.attrs[a.Key] = v.Any()
		default: // as text, whatever it is
			x.attrs[a.Key] = v.String()
		}
	}
}

// End ends the span, with the reason if it failed. Only the first call counts.
func (x *Span) End(failure error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.ended {
		return
	}
	x.ended = true
	x.row.End = x.service.o.Now()
	if failure != nil {
		x.row.Error = failure.Error()
	}
	text, err := json.Marshal(x.attrs)
	if err != nil || len(text) > maxAttrs {
		text = fmt.Appendf(nil, `{"left_out":"%d bytes"}`, len(text))
	}
	x.row.Attrs = text
	x.service.add(x.row)
}

// errHeader says that a header is not as W3C's Trace Context has it.
var errHeader = errors.New("not of the form 00-TRACE-SPAN-FLAGS of W3C's traceparent")

// Remote returns a context whose spans are within one of another system, of which the
// header "traceparent" tells. Its error leaves ctx as it is.
func Remote(ctx context.Context, header string) (context.Context, error) {
	trace, span, err := parse(header)
	if err != nil {
		return ctx, err
	}
	return log.WithSpan(ctx, trace, span), nil
}

// Header is the header "traceparent" for what is done elsewhere within the span of
// ctx; "" if there is none.
func Header(ctx context.Context) string {
	trace, span, ok := log.SpanFrom(ctx)
	if !ok {
		return ""
	}
	return fmt.Sprintf("00-%x-%016x-01", trace, uint64(span))
}

// parse reads 00-32 digits-16 digits-2 digits, all hexadecimal and lower case; later
// versions may add more behind a hyphen.
func parse(header string) (trace [16]byte, span int64, err error) {
	const length = 2 + 1 + 32 + 1 + 16 + 1 + 2
	if len(header) < length || header[2] != '-' || header[35] != '-' || header[52] != '-' || header[:2] == "ff" ||
		header[:2] == "00" && len(header) > length || len(header) > length && header[length] != '-' {
		return trace, 0, errHeader
	}
	for _, part := range []string{header[:2], header[3:35], header[36:52], header[53:55]} {
		for _, c := range []byte(part) {
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
				return trace, 0, errHeader
			}
		}
	}
	var id [8]byte
	_, err1 := hex.Decode(trace[:], []byte(header[3:35]))
	_, err2 := hex.Decode(id[:], []byte(header[36:52]))
	span = int64(binary.BigEndian.Uint64(id[:]))
	if err := errors.Join(err1, err2); err != nil || trace == [16]byte{} || span == 0 {
		return trace, 0, errHeader
	}
	return trace, span, nil
}
