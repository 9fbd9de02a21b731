package model_test

import (
	"testing"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/engine/enginetest"
	"github.com/tuplix/tuplix/dbms/engine/enginetest/model"
)

func TestEngine(t *testing.T) {
	clock := &enginetest.Clock{}
	enginetest.Suite{
		Open:  func(*testing.T) engine.Engine { return model.New(clock.Now) },
		Clock: clock,
	}.Run(t)
}
