// Package uart drives serial ports of the 16550 family.
//
// It owns one port: set-up (115200 8N1), the FIFOs, and the queue of what was
// received. It imports only the register map of TamaGo's soc/intel/uart, whose
// driver polls (docs/decisions/0002). Ports and interrupt are behind
// interfaces.
//
// It guarantees: Write returns when the last byte is in the transmit FIFO, and
// sleeps while that is full, as Read does while there is nothing. Nothing
// received is lost for want of a reader: when the queue is full, the receive
// interrupt is switched off and bytes stay in the FIFO, where flow control can
// act; what the hardware then loses is counted.
//
// It refuses an address where no 16550 answers, and knows no other line format
// and no flow control of its own.
//
// The line to the I/O APIC is edge-triggered: each interrupt is followed until
// the port has no reason left, or there would be no next edge.
//
// Source: National Semiconductor PC16550D data sheet, June 1995.
package uart
