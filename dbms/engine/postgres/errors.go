package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tuplix/tuplix/dbms/engine"
)

// errLost wraps an error after which the connection is of no use: whether what
// was sent has taken effect is not known.
var errLost = errors.New("the connection to the server was lost")

// callerError is an error of who takes the rows of an answer, not of the server.
type callerError struct{ error }

// explain makes an error of pgx one of the seam. What is neither the caller's
// nor an answer of the server is about the connection.
func (e *Engine) explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if own, ok := err.(callerError); ok {
		return own.error
	}
	var answer *pgconn.PgError
	if !errors.As(err, &answer) {
		if ctx.Err() != nil {
			return errors.Join(ctx.Err(), errLost)
		}
		return fmt.Errorf("%w: %w", errLost, err)
	}
	switch code := answer.Code; {
	case code == "40001", code == "40P01", code == "55P03":
		return fmt.Errorf("%w (%s)", engine.ErrConflict, answer.Message)
	case strings.HasPrefix(code, "53"): // out of space, memory, connections
		return fmt.Errorf("%w (%s)", engine.ErrFull, answer.Message)
	case strings.HasPrefix(code, "XX00"):
		return fmt.Errorf("%w: %s", engine.ErrCorrupt, answer.Message)
	case strings.HasPrefix(code, "57P"), strings.HasPrefix(code, "08"):
		return fmt.Errorf("%w: %w", errLost, err)
	}
	return err
}
