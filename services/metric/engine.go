package metric

import (
	"strconv"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/services/metric/figure"
)

// ofStore is the source of what an engine counts.
func ofStore(e engine.Engine) figure.Source {
	return func() []figure.Value {
		m := e.Metrics()
		list := []figure.Value{
			figure.Counter("store_commits_total", "Transactions that took effect.", m.Commits),
			figure.Counter("store_conflicts_total", "Attempts at transactions that were run again or given up.", m.Conflicts),
			figure.Counter("store_replays_total", "Operations that had already taken effect.", m.Replays),
			figure.Counter("store_syncs_total", "Flushes of the device for commits.", m.Syncs),
			figure.Counter("store_sync_seconds_total", "Time spent in flushes of the device.", m.SyncTime.Seconds()),
			figure.Counter("store_keys_read_total", "Keys read.", m.KeysRead),
			figure.Counter("store_keys_written_total", "Keys written.", m.KeysWritten),
			figure.Gauge("store_watchers", "Watches that wait now.", m.Watchers),
			figure.Counter("store_wakeups_total", "Watches that ended by a change.", m.Wakeups),
			figure.Gauge("store_superseded_versions", "Versions kept that are not the newest, estimated.", m.Superseded),
			figure.Counter("store_collected_versions_total", "Versions removed beyond retention.", m.Collected.Versions),
			figure.Gauge("store_restores_unfinished", "Restores whose keys are not yet all rewritten.", m.Restores),
			figure.Counter("store_cache_hits_total", "Blocks found in the cache.", m.CacheHits),
			figure.Counter("store_cache_misses_total", "Blocks read from the device.", m.CacheMisses),
			figure.Counter("store_compactions_total", "Compactions.", m.Compactions),
			figure.Gauge("store_device_bytes", "Bytes of the device in use.", m.DeviceBytes),
			figure.Counter("store_log_bytes_total", "Bytes written to the log.", m.LogBytes),
			figure.Counter("store_write_stalls_total", "Times that commits waited for compactions.", m.WriteStalls),
			figure.Gauge("store_oldest_reader_seconds", "Age of the oldest read under way.", m.OldestReader.Seconds()),
		}
		for i := range m.LevelFiles {
			level := strconv.Itoa(i)
			list = append(list,
				figure.Gauge("store_level_files", "Tables of a level of the LSM.", m.LevelFiles[i]).With("level", level),
				figure.Gauge("store_level_bytes", "Bytes of a level of the LSM.", m.LevelBytes[i]).With("level", level))
		}
		return list
	}
}
