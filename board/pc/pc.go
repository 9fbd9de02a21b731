package pc

import "github.com/tuplix/tuplix/kernel"

func init() {
	if kernel.Booted() {
		kernel.Say("board/pc")
	}
}
