package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"pregon/internal/config"
	"pregon/internal/setup"
	"pregon/jobs"
)

// with opens what a command needs and closes it afterwards.
func (a *app) with(ctx context.Context, do func(*setup.System, *jobs.Operator) error) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	if cfg.RedisURL.Reveal() == config.Embedded {
		return usage("%s", a.t("Con REDIS_URL=embedded las campañas terminan con el programa que las lanza: no hay ninguna "+
			"que ver", "With REDIS_URL=embedded campaigns end with the program that launches them: there is none to see"))
	}
	system, err := a.open(ctx, false)
	if err != nil {
		return err
	}
	defer system.Close()
	return do(system, system.Operator())
}

// show prints one campaign as it is now.
func (a *app) show(ctx context.Context, operator *jobs.Operator, id string) error {
	s, err := operator.Status(ctx, id)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(s)
	}
	a.table(a.out, s)
	a.hints(a.out, s)
	return nil
}

func (a *app) statusCommand() *cobra.Command {
	var follow bool
	var row int
	c := &cobra.Command{
		Use:   "status [CAMPAIGN]",
		Short: a.t("Muestra una campaña, o todas", "Show a campaign, or all"),
		Args:  a.arguments(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			oneRow := c.Flags().Changed("row")
			if oneRow && (len(args) == 0 || follow) {
				return usage("%s", a.t("--row muestra una fila de una campaña, como está ahora: enqueue status CAMPAIGN --row N",
					"--row shows one row of one campaign, as it is now: enqueue status CAMPAIGN --row N"))
			}
			if len(args) == 0 {
				return a.list(c.Context())
			}
			return a.with(c.Context(), func(_ *setup.System, o *jobs.Operator) error {
				if oneRow {
					return a.showRow(c.Context(), o, args[0], row)
				}
				if !follow {
					return a.show(c.Context(), o, args[0])
				}
				s, err := a.accompany(c.Context(), o, args[0])
				if err != nil {
					return err
				}
				return a.conclude(s)
			})
		},
	}
	c.Flags().BoolVar(&follow, "follow", false, a.t("acompañarla hasta el final", "stay until its end"))
	c.Flags().IntVar(&row, "row", 0, a.t("solo esta fila, con cada intento", "only this row, with each attempt"))
	return c
}

// conclude prints a campaign that was followed to its end; the exit status tells how it went.
func (a *app) conclude(s jobs.Status) error {
	if a.json {
		if err := a.printJSON(s); err != nil {
			return err
		}
	} else {
		a.table(a.out, s)
		a.hints(a.out, s)
	}
	return status(exitOf(s))
}

func (a *app) listCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: a.t("Lista las campañas, la más nueva primero", "List the campaigns, the newest first"),
		Args: a.arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error { return a.list(c.Context()) },
	}
}

func (a *app) list(ctx context.Context) error {
	return a.with(ctx, func(_ *setup.System, o *jobs.Operator) error {
		list, err := o.List(ctx)
		if err != nil {
			return err
		}
		if a.json {
			return a.printJSON(list)
		}
		if len(list) == 0 {
			a.say("No hay campañas.", "There are no campaigns.")
			return nil
		}
		t := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(t, a.t("CAMPAÑA\tNOMBRE\tFILAS\tPENDIENTES\tESTADO", "CAMPAIGN\tNAME\tROWS\tOPEN\tSTATE"))
		for _, s := range list {
			_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", s.Campaign, s.Name, a.count(s.Total), a.count(s.Counts.Open()),
				a.stateName(s))
		}
		return t.Flush()
	})
}

// steering makes a command that does one thing to a campaign and shows it afterwards.
func (a *app) steering(use, short string, do func(context.Context, *jobs.Operator, string) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: a.arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.with(c.Context(), func(_ *setup.System, o *jobs.Operator) error {
				err := do(c.Context(), o, args[0])
				if errors.Is(err, jobs.ErrNotNow) {
					return a.notNow(c.Context(), o, args[0], err)
				}
				if err != nil {
					return err
				}
				return a.show(c.Context(), o, args[0])
			})
		},
	}
}

// notNow says what state a campaign is in that does not allow what was asked for.
func (a *app) notNow(ctx context.Context, o *jobs.Operator, id string, refused error) error {
	s, err := o.Status(ctx, id)
	if err != nil {
		return errors.Join(refused, err)
	}
	return usage("%s", a.t("La campaña está así: %s. En ese estado no se puede", "The campaign is: %s. That state does "+
		"not allow it", a.stateName(s)))
}

func (a *app) pauseCommand() *cobra.Command {
	var reason string
	c := a.steering("pause CAMPAIGN", a.t("Detiene una campaña; lo que va en camino termina",
		"Stop a campaign; what is in flight ends"),
		func(ctx context.Context, o *jobs.Operator, id string) error { return o.Pause(ctx, id, reason) })
	c.Flags().StringVar(&reason, "reason", "", a.t("por qué, para quien la vea después", "why, for whoever sees it later"))
	return c
}

func (a *app) resumeCommand() *cobra.Command {
	return a.steering("resume CAMPAIGN", a.t("Sigue con una campaña en pausa", "Go on with a paused campaign"),
		func(ctx context.Context, o *jobs.Operator, id string) error { return o.Resume(ctx, id) })
}

func (a *app) cancelCommand() *cobra.Command {
	var reason string
	c := a.steering("cancel CAMPAIGN", a.t("Termina una campaña para siempre: lo pendiente no se envía",
		"End a campaign for good: what is open is never sent"),
		func(ctx context.Context, o *jobs.Operator, id string) error { return o.Cancel(ctx, id, reason) })
	c.Flags().StringVar(&reason, "reason", "", a.t("por qué, para quien la vea después", "why, for whoever sees it later"))
	return c
}
