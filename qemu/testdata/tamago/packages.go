package main

import (
	"reflect"

	"github.com/usbarmory/tamago/amd64"
	"github.com/usbarmory/tamago/amd64/lapic"
	"github.com/usbarmory/tamago/bits"
	"github.com/usbarmory/tamago/dma"
	kvmclock "github.com/usbarmory/tamago/kvm/clock"
	"github.com/usbarmory/tamago/kvm/gvnic"
	"github.com/usbarmory/tamago/kvm/pvclock"
	"github.com/usbarmory/tamago/kvm/sev"
	"github.com/usbarmory/tamago/kvm/virtio"
	"github.com/usbarmory/tamago/soc/intel/ioapic"
	"github.com/usbarmory/tamago/soc/intel/pci"
	"github.com/usbarmory/tamago/soc/intel/rtc"
	"github.com/usbarmory/tamago/soc/intel/uart"
)

// tamago has one value of each type of TamaGo's amd64 packages that has
// methods, and the functions. Asking for methods by number keeps all of them in
// the image, so that what they refer to must be there as well. None is called.
var tamago = []any{
	amd64.Fault, amd64.DefaultExceptionHandler, amd64.NumCPU, amd64.Init, amd64.GetRandomData,
	&amd64.CPU{}, &amd64.Features{}, &amd64.GateDescriptor{},
	&lapic.LAPIC{},
	bits.Get, bits.Set, bits.GetN, bits.SetN, bits.Get64, bits.SetN64,
	dma.NewRegion, dma.Init, dma.Reserve, dma.Reserved, dma.Alloc, dma.Read, dma.Write, dma.Free, dma.Release, dma.Default,
	&dma.Region{},
	kvmclock.Pairing, kvmclock.Now,
	&gvnic.GVE{}, &gvnic.DeviceDescriptor{},
	pvclock.Init,
	sev.Features,
	&sev.GHCB{}, &sev.ReportRequest{}, &sev.ReportResponse{}, &sev.AttestationReport{}, &sev.KeyRequest{}, &sev.KeyResponse{},
	&sev.MessageHeader{}, &sev.SecretsPage{}, &sev.SEVStatus{}, &sev.SVMFeatures{}, &sev.TSCInfo{}, &sev.VMSA{},
	&virtio.LegacyPCI{}, &virtio.MMIO{}, &virtio.PCI{}, &virtio.Descriptor{}, &virtio.Available{}, &virtio.Ring{},
	&virtio.Used{}, &virtio.VirtualQueue{},
	&ioapic.IOAPIC{},
	pci.Probe, pci.Devices, &pci.Device{}, &pci.CapabilityHeader{}, &pci.CapabilityMSIX{},
	&rtc.RTC{},
	&uart.UART{},
}

// link counts the functions and methods that are linked.
func link() (n int) {
	for _, v := range append(tamago, board...) {
		value := reflect.ValueOf(v)
		if value.Kind() == reflect.Func {
			n++
		}
		for i := range value.NumMethod() {
			if value.Method(i).IsNil() {
				panic(value.Type().Method(i).Name)
			}
			n++
		}
	}
	return n
}
