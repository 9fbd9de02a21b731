package blockfs

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/tuplix/tuplix/dbms/blockdev/crash"
)

// The model of what may be on the disk after a crash.
//
// Names: one snapshot per change since the last point that is surely durable;
// after a crash one of these must be what is found, whole.
//
// Content of a file: what it was at its last sync, and for each byte the values
// written since. A longer file than synced is found only if a sync was cut short
// (then it is all there), or if it is a log (then any byte not synced is zero or
// one of the values written).

// modelFile is one inode of the model.
type modelFile struct {
	log     bool
	live    []byte
	durable []byte
	since   []modelWrite // since durable
	syncing bool         // a sync was cut short
	lastOp  int          // the snapshot that has its latest name
}

type modelWrite struct {
	off  int
	data []byte
}

func (m *modelFile) write(off int, data []byte) {
	m.since = append(m.since, modelWrite{off, data})
	if grow := off + len(data) - len(m.live); grow > 0 {
		m.live = append(m.live, make([]byte, grow)...)
	}
	copy(m.live[off:], data)
}

func (m *modelFile) synced() {
	m.durable, m.since = slices.Clone(m.live), nil
}

// matches tells whether content may be found in the file after a crash.
func (m *modelFile) matches(content []byte) bool {
	if m.syncing && !m.log && bytes.Equal(content, m.live) {
		return true
	}
	if len(content) < len(m.durable) || !m.log && len(content) != len(m.durable) {
		return false
	}
	for i, c := range content {
		if !m.mayBe(i, c) {
			return false
		}
	}
	return true
}

func (m *modelFile) mayBe(i int, c byte) bool {
	if i < len(m.durable) && m.durable[i] == c || i >= len(m.durable) && c == 0 {
		return true
	}
	for _, w := range m.since {
		if i >= w.off && i < w.off+len(w.data) && w.data[i-w.off] == c {
			return true
		}
	}
	return false
}

// snapshot is the whole namespace: a nil file is a directory.
type snapshot map[string]*modelFile

// handle is an open file of the model.
type handle struct {
	f    vfs.File
	m    *modelFile
	pos  int
	seq  bool // written from start to end
	dead bool
}

// model drives a volume and knows what it should hold.
type model struct {
	rng     *rand.Rand
	dev     *crash.Device
	cover   cover
	top     Device // the content of dev
	fs      *FS
	names   snapshot
	history []snapshot // from the last durable one to the present
	base    int        // number of history[0]
	handles []*handle
	log     []string
}

func newModel(rng *rand.Rand, dev *crash.Device) *model {
	return &model{rng: rng, dev: dev, names: snapshot{}, history: []snapshot{{}}}
}

func (m *model) now() int { return m.base + len(m.history) - 1 }

// durable notes that snapshot n surely is.
func (m *model) durable(n int) {
	if n > m.base {
		m.history, m.base = m.history[n-m.base:], n
	}
}

// changed appends the present as a snapshot; it is the latest of files.
func (m *model) changed(files ...*modelFile) {
	m.history = append(m.history, maps.Clone(m.names))
	for _, f := range files {
		if f != nil {
			f.lastOp = m.now()
		}
	}
}

func (m *model) note(format string, args ...any) {
	m.log = append(m.log, fmt.Sprintf(format, args...))
}

// pick gives a random name: of a few, so that they meet.
func (m *model) pick() string {
	name := string(rune('p' + m.rng.IntN(5)))
	if m.rng.IntN(2) == 0 {
		name = path.Join([]string{"d", "d/e"}[m.rng.IntN(2)], name)
	}
	return name
}

func (m *model) isDir(name string) bool {
	f, ok := m.names[name]
	return name == "." || ok && f == nil
}

// step does one random operation. It returns an error only if the volume
// disagrees with the model; a power cut is none.
func (m *model) step() error {
	err := m.operation()
	if err != nil && m.dev.Cut() {
		return nil
	}
	return err
}

func (m *model) operation() error {
	switch k := m.rng.IntN(100); {
	case k < 12:
		return m.create()
	case k < 40:
		return m.write()
	case k < 58:
		return m.sync()
	case k < 64:
		return m.close()
	case k < 70:
		return m.openReadWrite()
	case k < 76:
		return m.rename()
	case k < 80:
		return m.link()
	case k < 86:
		return m.remove()
	case k < 88:
		return m.removeAll()
	case k < 91:
		return m.mkdir()
	case k < 95:
		return m.reuse()
	case k < 98:
		return m.syncDir()
	}
	return m.read()
}

func (m *model) create() error {
	name, log := m.pick(), m.rng.IntN(3) == 0
	if !m.isDir(path.Dir(name)) || m.isDir(name) {
		return nil
	}
	m.note("create %s log %t", name, log)
	file, old := &modelFile{log: log}, m.names[name]
	m.names[name] = file
	m.changed(file, old)
	category := unspecified
	if log {
		category = walCategory
	}
	f, err := m.fs.Create(name, category)
	if err == nil {
		m.open(f, file, true)
	}
	return err
}

func (m *model) open(f vfs.File, file *modelFile, seq bool) {
	for _, h := range m.handles {
		if h.m == file {
			h.dead = true // one writer per file: positions would interleave
		}
	}
	m.handles = append(m.handles, &handle{f: f, m: file, seq: seq})
}

// handle picks an open file.
func (m *model) handle() *handle {
	if len(m.handles) == 0 {
		return nil
	}
	h := m.handles[m.rng.IntN(len(m.handles))]
	if h.dead {
		return nil
	}
	return h
}

func (m *model) write() error {
	h := m.handle()
	if h == nil {
		return nil
	}
	data := make([]byte, 1+m.rng.IntN(1<<m.rng.IntN(18)))
	for i := range data {
		data[i] = byte(1 + m.rng.IntN(255))
	}
	off := h.pos
	if !h.seq {
		off = m.rng.IntN(len(h.m.live) + 5000)
	}
	m.note("write %p %d at %d", h.m, len(data), off)
	if gap := off - len(h.m.live); gap > 0 {
		h.m.write(len(h.m.live), make([]byte, gap))
	}
	h.m.write(off, data)
	if !h.seq {
		_, err := h.f.WriteAt(data, int64(off))
		return err
	}
	h.pos += len(data)
	_, err := h.f.Write(data)
	return err
}

// padded models the zeros behind the writer of a log.
func (m *model) padded(h *handle) {
	if end := int(alignUp(int64(h.pos), int64(m.dev.SectorSize()))); h.seq && h.m.log && h.pos < len(h.m.live) {
		h.m.write(h.pos, make([]byte, min(end, len(h.m.live))-h.pos))
	}
}

func (m *model) sync() error {
	h := m.handle()
	if h == nil {
		return nil
	}
	m.note("sync %p", h.m)
	m.padded(h)
	h.m.syncing = true
	if err := h.f.Sync(); err != nil {
		return err
	}
	h.m.syncing = false
	h.m.synced()
	m.durable(h.m.lastOp)
	return nil
}

func (m *model) close() error {
	if len(m.handles) == 0 {
		return nil
	}
	i := m.rng.IntN(len(m.handles))
	h := m.handles[i]
	m.handles = slices.Delete(m.handles, i, i+1)
	m.note("close %p", h.m)
	m.padded(h)
	return h.f.Close()
}

func (m *model) openReadWrite() error {
	name := m.pick()
	file := m.names[name]
	if file == nil || file.log {
		return nil
	}
	m.note("open %s", name)
	f, err := m.fs.OpenReadWrite(name, unspecified)
	if err == nil {
		m.open(f, file, false)
	}
	return err
}

func (m *model) rename() error {
	from, to := m.pick(), m.pick()
	file := m.names[from]
	if file == nil || m.isDir(to) || !m.isDir(path.Dir(to)) {
		return nil
	}
	m.note("rename %s %s", from, to)
	m.move(file, from, to)
	return m.fs.Rename(from, to)
}

// move models a rename.
func (m *model) move(file *modelFile, from, to string) {
	over := m.names[to]
	if over != file {
		m.names[to] = file
		delete(m.names, from)
	}
	m.changed(file, over)
}

func (m *model) link() error {
	from, to := m.pick(), m.pick()
	file := m.names[from]
	if _, taken := m.names[to]; file == nil || taken || !m.isDir(path.Dir(to)) {
		return nil
	}
	m.note("link %s %s", from, to)
	m.names[to] = file
	m.changed(file)
	return m.fs.Link(from, to)
}

func (m *model) remove() error {
	name := m.pick()
	file := m.names[name]
	if file == nil {
		return nil
	}
	m.note("remove %s", name)
	delete(m.names, name)
	m.changed(file)
	return m.fs.Remove(name)
}

func (m *model) removeAll() error {
	name := []string{"d", "d/e"}[m.rng.IntN(2)]
	if !m.isDir(name) {
		return nil
	}
	m.note("removeall %s", name)
	for n, file := range m.names {
		if n == name || len(n) > len(name) && n[:len(name)+1] == name+"/" {
			delete(m.names, n)
			if file != nil {
				file.lastOp = m.now() + 1
			}
		}
	}
	m.changed()
	return m.fs.RemoveAll(name)
}

func (m *model) mkdir() error {
	name := []string{"d", "d/e"}[m.rng.IntN(2)]
	if m.isDir(name) {
		return nil
	}
	m.note("mkdir %s", name)
	m.names["d"], m.names[name] = nil, nil
	m.changed()
	return m.fs.MkdirAll(name, 0o755)
}

func (m *model) reuse() error {
	from, to := m.pick(), m.pick()
	file := m.names[from]
	if file == nil || !file.log || m.isDir(to) || !m.isDir(path.Dir(to)) {
		return nil
	}
	m.note("reuse %s %s", from, to)
	for i, h := range m.handles {
		if h.m == file {
			m.handles = slices.Delete(m.handles, i, i+1)
			m.padded(h)
			if err := h.f.Close(); err != nil {
				return err
			}
			break
		}
	}
	m.move(file, from, to)
	f, err := m.fs.ReuseForWrite(from, to, walCategory)
	if err == nil {
		m.open(f, file, true)
	}
	return err
}

func (m *model) syncDir() error {
	m.note("sync names")
	d, err := m.fs.OpenDir("/")
	if err != nil {
		return err
	}
	if err := d.Sync(); err != nil {
		return err
	}
	m.durable(m.now())
	return d.Close()
}

// read compares a file with the model now, without a crash.
func (m *model) read() error {
	name := m.pick()
	file := m.names[name]
	if file == nil {
		return nil
	}
	content, err := contentOf(m.fs, name)
	if err != nil {
		return err
	}
	if !file.log && !bytes.Equal(content, file.live) || len(content) != len(file.live) {
		return fmt.Errorf("%s: %d bytes, not the %d written", name, len(content), len(file.live))
	}
	return nil
}
