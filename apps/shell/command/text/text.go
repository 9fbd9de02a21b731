package text

import (
	"bufio"
	"io"
	"sync"

	"github.com/u-root/u-root/pkg/core/base64"

	"github.com/tuplix/tuplix/apps/shell/command"
)

// Commands returns the commands of this package.
func Commands() []*command.Command { return commands() }

var commands = sync.OnceValue(func() []*command.Command {
	return command.OfFiles([]*command.Command{
		command.Core("base64", "[-d] [file]", "encode or decode base64", base64.New),
		grepCommand, headCommand, tailCommand, sortCommand, uniqCommand, wcCommand,
		cutCommand, trCommand, teeCommand, seqCommand, yesCommand, revCommand,
		hexdumpCommand, shaCommand, sha256Command, md5Command, cmpCommand,
		basenameCommand, dirnameCommand,
	})
})

// eachLine calls f with each line of r, without its newline, until f returns
// false or an error. The line is only good until f returns. If f writes to out,
// which may be nil, out is flushed whenever the next line may have to be waited
// for; its last flush is left to the caller.
func eachLine(r io.Reader, out *bufio.Writer, f func(line []byte) (more bool, err error)) error {
	in := bufio.NewReaderSize(r, 64<<10)
	for {
		if out != nil && in.Buffered() == 0 {
			if err := out.Flush(); err != nil {
				return err
			}
		}
		line, err := readLine(in)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if more, err := f(line); err != nil || !more {
			return err
		}
	}
}

// readLine returns the next line without its newline, or io.EOF when there is
// none. It copies only lines longer than the buffer.
func readLine(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		long := append([]byte(nil), line...)
		for err == bufio.ErrBufferFull {
			line, err = in.ReadSlice('\n')
			long = append(long, line...)
		}
		line = long
	}
	if err == io.EOF && len(line) > 0 {
		return line, nil
	}
	if err != nil {
		return nil, err
	}
	return line[:len(line)-1], nil
}
