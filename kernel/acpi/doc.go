// Package acpi reads from ACPI what the kernel must know before the Go runtime
// starts: which processors there are, how interrupt lines reach them, and which
// counters have a known frequency. It reads the older MP table where there is no ACPI (QEMU's microvm).
//
// It owns the formats of RSDP, RSDT, XSDT, MADT and the MP table, and of
// what FADT and HPET say of timers. It imports
// nothing. It runs in trap context: it allocates nothing and keeps no pointer.
// It guarantees that, whatever the tables say, it stays inside the bytes that
// its reader gives, ends, and reports the first thing that is wrong. It refuses
// AML, and all else that describes devices: drivers/acpi reads that.
package acpi
