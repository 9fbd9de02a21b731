package file

import "github.com/tuplix/tuplix/services/metric/figure"

// Figures are those of the files since they were opened.
func (fs *FS) Figures() []figure.Value {
	total, free := fs.Space()
	return []figure.Value{
		figure.Gauge("file_device_bytes", "Bytes of the device; 0 where it does not say.", total),
		figure.Gauge("file_free_bytes", "Bytes that files may still take.", free),
		figure.Gauge("file_past_bytes", "Bytes of data that only the past has, about.", fs.freedBytes.Load()),
		figure.Gauge("file_unsaved_bytes", "Bytes that have changed and are not stored yet, about.", fs.pending()),
		figure.Counter("file_groups_total", "Groups of changes that were stored.", fs.journal.committed.Load()),
	}
}
