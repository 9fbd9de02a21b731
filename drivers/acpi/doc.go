// Package acpi reads what the firmware says of the machine: where PCI's
// configuration space is, how to turn the machine off and restart it, and which
// devices there are that no bus can find.
//
// It owns the parsers of RSDP, RSDT, XSDT, MCFG and FADT, a walker over the AML
// of DSDT and SSDT, and the decoder of resource templates. (MADT is needed
// before the Go runtime runs, and is read in the kernel.)
//
// It imports the standard library only. Memory is behind Reader, registers are
// behind Writer.
//
// It guarantees that no table, however broken, makes it panic, read outside of
// the table, or run for longer than in proportion to its length. Tables with a
// wrong checksum are refused.
//
// It refuses to be an AML interpreter. The walker follows Scope and Device,
// takes Name with its data, and skips methods, fields and conditions; a device
// whose resources are computed by a method has none here. Where it meets a term
// whose length only an interpreter would know, it gives up the rest of the
// enclosing scope, and goes on after it.
//
// Source: Advanced Configuration and Power Interface Specification 6.5.
package acpi
