package main

import (
	"flag"
	"fmt"
	"log"
	"strings"
)

// measurement runs for about a second and returns its value.
type measurement func(dir string) (float64, error)

var measurements = map[string]measurement{
	"pingpong":  func(string) (float64, error) { return pingPong(false), nil },
	"threadhop": func(string) (float64, error) { return pingPong(true), nil },
	"now":       func(string) (float64, error) { return now(), nil },
	"filewrite": fileWrite,
	"fileread":  fileRead,
	"filestat":  fileStat,
	"overwrite": fileOverwrite,
	"create":    fileCreate,
	"unlink":    fileUnlink,
	"seqwrite":  fileSequentialWrite,
	"seqread":   fileSequentialRead,
	"aggregate": aggregate,
	"hash":      func(string) (float64, error) { return hash(), nil },
}

func main() {
	measure := flag.String("measure", "", "`list` of measurements, separated by commas")
	dir := flag.String("dir", ".", "`directory` for files")
	serve := flag.String("serve", "", "serve the TCP measurements on this `address`")
	flag.Int64Var(&sequentialMB, "sequential", 1024, "size of the file of the sequential measurements, in `MiB`")
	flag.IntVar(&aggregateFiles, "files", 100_000, "`number` of files of the aggregate")
	busy := flag.Int("busy", 0, "`number` of goroutines that calculate without end")
	flag.Parse()
	for range *busy {
		go func() {
			for x := uint64(1); x != 0; x = x*6364136223846793005 | 1 {
			}
		}()
	}
	if *serve != "" {
		log.Fatal(serveTCP(*serve))
	}
	for _, name := range strings.Split(*measure, ",") {
		run, ok := measurements[name]
		if !ok {
			log.Fatalf("no measurement %q", name)
		}
		value, err := run(*dir)
		if err != nil {
			log.Fatalf("%s: %v", name, err)
		}
		fmt.Printf("result %s %g\n", name, value)
	}
}
