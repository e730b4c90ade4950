package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
)

// ask asks a person at the terminal. No answer is a no.
func (a *app) ask(ctx context.Context, question string) (bool, error) {
	_, _ = fmt.Fprint(a.err, question+a.t(" [s/N] ", " [y/N] "))
	var answer string
	err := interruptible(ctx, func() error {
		answer, _ = bufio.NewReader(a.in).ReadString('\n')
		return nil
	})
	if err != nil {
		return false, err
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "s", "si", "sí", "y", "yes":
		return true, nil
	}
	return false, nil
}

// insist asks for a consent without which nothing is done: at a terminal the person gives it, elsewhere --yes does. The
// question says what would be done, and what may come of it.
func (a *app) insist(ctx context.Context, given bool, question string) error {
	if given {
		return nil
	}
	if a.json || !a.asks() {
		return usage("%s", a.t("%s Aquí no hay a quién preguntarle: si es lo que quiere, repita el comando con --yes",
			"%s There is nobody to ask here: if that is what you want, repeat the command with --yes", question))
	}
	yes, err := a.ask(ctx, question)
	if err == nil && !yes {
		err = &exitError{exitUsage, errors.New(a.t("No se cambió nada", "Nothing was changed"))}
	}
	return err
}
