package network

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"time"

	"github.com/tuplix/tuplix/apps/shell/command"
	"github.com/tuplix/tuplix/apps/shell/command/files"
	"github.com/tuplix/tuplix/apps/shell/command/system"
)

var wgetCommand = &command.Command{
	Name: "wget", Usage: "[-q] [-O file] [-S] address", Summary: "fetch a file by HTTP", Run: wget,
}

func wget(ctx context.Context, c *command.Call) error {
	o := c.Options()
	output := o.String("O,output-document", "FILE", "", "write there; - is the standard output")
	quiet := o.Flag("q,quiet", "say nothing")
	headers := o.Flag("S,server-response", "print the headers of the answer")
	args, err := o.Parse(1, 1)
	if err != nil {
		return err
	}
	address := args[0]
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return command.Usagef("%q is not an address such as http://host/file", args[0])
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close() // an error of the body shows when it is read
	if *headers {
		fmt.Fprintf(c.Err, "%s %s\n", answer.Proto, answer.Status)
		if err := answer.Header.Write(c.Err); err != nil {
			return err
		}
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: the server answers %s", u, answer.Status)
	}
	name := *output
	if name == "" {
		if name = path.Base(u.Path); name == "/" || name == "." {
			name = "index.html"
		}
	}
	if name == "-" {
		_, err = io.Copy(c.Out, answer.Body)
		return err
	}
	return save(c, name, answer, *quiet)
}

// save writes the body beside its place and moves it there when it is whole.
func save(c *command.Call, name string, answer *http.Response, quiet bool) error {
	part := c.Path(name) + ".part"
	f, err := os.Create(part)
	if err != nil {
		return command.Named(name, err)
	}
	p := &progress{call: c, name: name, total: answer.ContentLength, start: time.Now()}
	if _, ok := c.Terminal(); !ok || quiet {
		p.call = nil
	}
	n, err := io.Copy(io.MultiWriter(f, p), answer.Body)
	p.end()
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(part))
	}
	if err := os.Rename(part, c.Path(name)); err != nil {
		return command.Named(name, err)
	}
	if !quiet {
		fmt.Fprintf(c.Err, "%s: %d bytes in %s\n", name, n, system.Days(time.Since(p.start)))
	}
	return nil
}

// progress is a writer that shows how far a copy is, ten times a second.
type progress struct {
	call  *command.Call // nil where nobody watches
	name  string
	done  int64
	total int64 // -1 if unknown
	start time.Time
	shown time.Time
}

func (p *progress) Write(b []byte) (int, error) {
	p.done += int64(len(b))
	if p.call != nil && time.Since(p.shown) > 100*time.Millisecond {
		p.shown = time.Now()
		fmt.Fprintf(p.call.Out, "\r%s: %s\x1b[K", p.name, p)
	}
	return len(b), nil
}

// String shows the state in words.
func (p *progress) String() string {
	rate := files.Human(uint64(float64(p.done) / max(0.001, time.Since(p.start).Seconds())))
	if p.total > 0 {
		return fmt.Sprintf("%d%% of %s, %s/s", p.done*100/p.total, files.Human(uint64(p.total)), rate)
	}
	return fmt.Sprintf("%s, %s/s", files.Human(uint64(p.done)), rate)
}

// end clears the line.
func (p *progress) end() {
	if p.call != nil {
		fmt.Fprint(p.call.Out, "\r\x1b[K")
	}
}
