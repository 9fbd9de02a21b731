// Package pc stands in for the real board in the tests of package image. Its
// init prepares something that the test programs look for in their own.
package pc

import (
	"log"
	"os"

	_ "github.com/tuplix/tuplix/kernel"
)

func init() {
	if err := os.Setenv("SYSTEM", "ready"); err != nil {
		log.Fatal(err)
	}
}
