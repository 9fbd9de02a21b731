package trace

import (
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/config"
)

// Row is a span that has ended.
type Row struct {
	Trace   [16]byte        `table:"key"` // the trace that it is a part of
	Span    int64           `table:"key"` // its id, 8 bytes as a number
	Parent  int64           // the span within which it began; 0: none
	Name    string          // what was done
	Start   time.Time       // when it began
	End     time.Time       // when it ended
	Error   string          // why it failed; "": it did not
	Attrs   json.RawMessage // attributes, an object
	User    string          // on whose behalf
	Program string          // which program did it
	Task    string          // in which task
}

// Spans is the table of them.
var (
	Spans   = table.Declare[Row]("os.spans")
	ByStart = Spans.Index("start", "start")
)

// Tables returns the tables that the package owns.
func Tables() []table.Declared { return []table.Declared{Spans} }

// The settings.
var (
	Most = config.Between(config.Int("trace.most", 100_000, "How many spans are kept; the oldest go first."), 0, 1<<40)
	Age  = config.Between(config.Duration("trace.age", 7*24*time.Hour, "How long spans are kept."), time.Minute, 100*365*24*time.Hour)
)

// OTLP says where spans are sent to, besides being kept.
var OTLP = config.Text("trace.otlp", "", "Where spans are sent as well, by OTLP over HTTP, such as http://collector:4318/v1/traces; none: nowhere.").
	Check("an address that begins with http:// or https://", func(address string) error {
		if u, err := url.Parse(address); address != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
			return fmt.Errorf("%q is no address that begins with http:// or https://", address)
		}
		return nil
	})

// Settings returns the settings that the package declares.
func Settings() []config.Declared { return []config.Declared{Most, Age, OTLP} }
