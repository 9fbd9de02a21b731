package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
)

func main() {
	addr := flag.String("addr", ":8080", "`address` to listen on")
	dir := flag.String("dir", ".", "`directory` for the program's files")
	exit := flag.Int("exit", -1, "end with this `status` and serve nothing")
	flag.Parse()
	if *exit >= 0 {
		fmt.Printf("hello: ending with status %d\n", *exit)
		os.Exit(*exit)
	}
	if err := serve(*addr, *dir); err != nil {
		log.Fatal(err)
	}
}

// serve answers requests until it fails.
func serve(addr, dir string) error {
	s, err := newServer(dir)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Printf("hello: listening on %s\n", l.Addr())
	return http.Serve(l, s.routes())
}
