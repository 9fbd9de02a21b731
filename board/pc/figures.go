package pc

import (
	"github.com/tuplix/tuplix/drivers/virtio/blk"
	nic "github.com/tuplix/tuplix/drivers/virtio/net"
	"github.com/tuplix/tuplix/kernel"
	"github.com/tuplix/tuplix/services/metric/figure"
)

// kernelFigures are what the kernel counts.
func kernelFigures() []figure.Value {
	s := kernel.ReadStats()
	return []figure.Value{
		figure.Gauge("kernel_memory_bytes", "Memory that the kernel manages.", s.MemoryTotal),
		figure.Gauge("kernel_memory_free_bytes", "Memory that nothing uses.", s.MemoryFree),
		figure.Gauge("kernel_processors", "Processors that run threads.", s.CPUs),
		figure.Gauge("kernel_threads", "Threads that are alive.", s.Threads),
		figure.Gauge("kernel_uptime_seconds", "Time since boot.", kernel.Uptime().Seconds()),
		figure.Counter("kernel_switches_total", "Changes from one thread to another.", s.Switches),
		figure.Counter("kernel_interrupts_total", "Interrupts by devices.", s.Interrupts),
		figure.Counter("kernel_calls_total", "System calls that were traps.", s.Calls),
		figure.Counter("kernel_faults_total", "Page faults.", s.Faults),
	}
}

// diskFigures are what the driver of a disk counts.
func diskFigures(d *blk.Device) figure.Source {
	return func() []figure.Value {
		s := d.Stats()
		return []figure.Value{
			figure.Gauge("disk_bytes", "Size of the disk.", d.Size()),
			figure.Counter("disk_reads_total", "Requests to read that were done.", s.Reads),
			figure.Counter("disk_read_bytes_total", "Bytes that were read.", s.BytesRead),
			figure.Counter("disk_writes_total", "Requests to write that were done.", s.Writes),
			figure.Counter("disk_written_bytes_total", "Bytes that were written.", s.BytesWritten),
			figure.Counter("disk_flushes_total", "Flushes of what was written.", s.Flushes),
			figure.Counter("disk_errors_total", "Requests that the disk failed.", s.Errors),
		}
	}
}

// cardFigures are what the driver of a network card counts; the network counts frames.
func cardFigures(name string, d *nic.Device) figure.Source {
	return func() []figure.Value {
		return []figure.Value{
			figure.Counter("net_damaged_frames_total", "Frames that came in with an impossible header.", d.Dropped()).With("device", name),
		}
	}
}
