package postgres

import (
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/tuplix/tuplix/dbms/engine"
)

// Pages of a scan: the first has as many keys as were asked for, or firstPage;
// each is twice as large as the one before, as long as its values are small.
const (
	firstPage   = 32
	largestPage = 2048
	pageBytes   = 1 << 20
)

// cursor walks over keys, a page at a time.
type cursor struct {
	r       *reader
	parts   []part // not yet read, the next one first
	reverse bool
	size    int // of the next page
	page    []pair
	i       int // the present key is page[i-1]
	err     error
	ended   bool
	last    []byte // the last key that Next went to
}

type pair struct{ key, value []byte }

func (r *reader) Scan(rng engine.Range, o engine.ScanOptions) engine.Cursor {
	return r.scan(rng, o)
}

func (r *reader) scan(rng engine.Range, o engine.ScanOptions) *cursor {
	c := &cursor{r: r, parts: within(r.plan(), rng), reverse: o.Reverse, size: firstPage}
	if o.Limit > 0 {
		c.size = min(o.Limit, largestPage)
	}
	return c
}

func (c *cursor) Next() bool {
	for c.i == len(c.page) && !c.ended && c.err == nil {
		c.fetch()
	}
	if c.i == len(c.page) || c.ended || c.err != nil {
		return false
	}
	c.last = c.page[c.i].key
	c.i++
	return true
}

func (c *cursor) Key() []byte   { return c.page[c.i-1].key }
func (c *cursor) Value() []byte { return c.page[c.i-1].value }
func (c *cursor) Err() error    { return c.err }

func (c *cursor) Close() error {
	c.parts, c.page, c.i = nil, nil, 0
	return nil
}

// fetch reads the next page, which may be empty.
func (c *cursor) fetch() {
	if len(c.parts) == 0 {
		c.ended = true
		return
	}
	at := 0
	if c.reverse {
		at = len(c.parts) - 1
	}
	p := &c.parts[at]
	c.page, c.i = c.page[:0], 0
	c.err = c.r.read([]engine.Range{p.Range}, question{
		sql:   scanStatement(p.High != nil, c.reverse),
		args:  scanArgs(p, c.size),
		begin: func() { c.page = c.page[:0] },
		row: func(rows pgx.Rows) error {
			var x pair
			err := rows.Scan(&x.key, &x.value)
			c.page = append(c.page, x)
			return err
		},
	})
	c.r.e.counts.read.Add(int64(len(c.page)))
	if len(c.page) < c.size {
		c.parts = append(c.parts[:at:at], c.parts[at+1:]...)
	} else if last := c.page[len(c.page)-1].key; c.reverse {
		p.High = last
	} else {
		p.Low = append(append([]byte(nil), last...), 0)
	}
	c.size = nextSize(c.size, c.page)
}

func nextSize(size int, page []pair) int {
	bytes := 1
	for _, x := range page {
		bytes += len(x.key) + len(x.value)
	}
	fits := max(1, len(page)*pageBytes/bytes)
	return min(2*size, fits, largestPage)
}

func scanArgs(p *part, limit int) []any {
	after, to := columns(p.spans)
	args := []any{nonNil(p.Low), after, to, limit}
	if p.High != nil {
		args = append(args, p.High)
	}
	return args
}

// nonNil makes nil, which the server takes for null, an empty slice.
func nonNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// inRange is the condition that a key is at least low and below high, which are
// parameters; an empty high is none.
func inRange(column, low, high string) string {
	indexed := `substring(` + column + ` from 1 for 2000)`
	text := indexed + ` >= substring(` + low + `::bytea from 1 for 2000) and ` + column + ` >= ` + low
	if high != "" {
		text += ` and ` + indexed + ` <= substring(` + high + `::bytea from 1 for 2000) and ` + column + ` < ` + high
	}
	return text
}

// scanStatement reads a page: $1 low, $2 and $3 spans, $4 limit, $5 high.
func scanStatement(bounded, reverse bool) string {
	high, direction := "", ""
	if bounded {
		high = "$5"
	}
	if reverse {
		direction = " desc"
	}
	return strings.NewReplacer("RANGE", inRange("key", "$1", high), "HEAD", head, "DIRECTION", direction).Replace(
		`select key, value from (
			select distinct on (HEAD, key) HEAD as head, key, value from versions
			where RANGE and exists (select from unnest($2::xid8[], $3::xid8[]) as s(after, upto) where xid > s.after and xid <= s.upto)
			order by HEADDIRECTION, keyDIRECTION, xid desc) v
		where value is not null
		order by headDIRECTION, keyDIRECTION
		limit $4`)
}
