package log

import (
	"database/sql"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/config"
)

// Line is something that was said.
type Line struct {
	Position uint64             `table:"key"` // bytes of all lines written before it, since the log began
	At       time.Time          // when it was said; not quite in the order of positions
	Level    int16              // as in log/slog: -4 debug, 0 info, 4 warning, 8 error
	Message  string             // the text
	Attrs    json.RawMessage    // the attributes, an object; groups are objects in it
	Source   string             // "kernel", or file:line of the program
	User     string             // on whose behalf
	Program  string             // which program said it
	Task     string             // in which task
	Version  []byte             // the newest version of the store at that moment
	Trace    sql.Null[[16]byte] // the trace that it belongs to, an id of OpenTelemetry's
	Span     sql.Null[int64]    // the span of it
}

// The table of all lines. Its key is the order in which they were written, so that
// who follows the log misses none.
var (
	Lines  = table.Declare[Line]("os.logs")
	byTime = Lines.Index("time", "at")
)

// Tables returns the tables that the package owns.
func Tables() []table.Declared { return []table.Declared{Lines} }

// The settings.
var (
	Size  = config.Between(config.Size("log.size", 64<<20, "How large the log may become; the oldest lines go first."), 64<<10, 1<<40)
	Age   = config.Between(config.Duration("log.age", 30*24*time.Hour, "How long lines are kept."), time.Minute, 100*365*24*time.Hour)
	Least = config.New("log.level", "level", slog.LevelInfo, "The least level that is kept: debug, info, warn, error.", parseLevel, slog.Level.String)
)

// Settings returns the settings that the package declares.
func Settings() []config.Declared { return []config.Declared{Size, Age, Least} }

func parseLevel(text string) (l slog.Level, err error) {
	err = l.UnmarshalText([]byte(text))
	return l, err
}
