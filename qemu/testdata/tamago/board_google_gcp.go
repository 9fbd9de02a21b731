//go:build google_gcp

package main

import "github.com/usbarmory/tamago/board/google/gcp"

var board = []any{gcp.Init, gcp.AMD64, gcp.UART0, gcp.IOAPIC0}
