// Package acpi reads from ACPI what the kernel must know before the Go runtime
// starts: which processors there are, and how interrupt lines reach them. It
// reads the older MP table where there is no ACPI (QEMU's microvm).
//
// It owns the formats of RSDP, RSDT, XSDT, MADT and the MP table. It imports
// nothing. It runs in trap context: it allocates nothing and keeps no pointer.
// It guarantees that, whatever the tables say, it stays inside the bytes that
// its reader gives, ends, and reports the first thing that is wrong. It refuses AML, and every
// table that devices are described by: drivers/acpi reads those.
package acpi
