package main

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"pregon/campaign"
	"pregon/providers"
)

func (a *app) balanceCommand() *cobra.Command {
	var account string
	c := &cobra.Command{
		Use:   "balance",
		Short: a.t("Pregunta el saldo de una cuenta", "Ask an account for its balance"),
		Args:  a.arguments(0, 0),
		RunE:  func(c *cobra.Command, _ []string) error { return a.balance(c.Context(), account) },
	}
	c.Flags().StringVar(&account, "account", "", a.t("cuenta", "account"))
	return c
}

func (a *app) balance(ctx context.Context, name string) error {
	a.accountName = name
	acc, err := a.account(name)
	if err != nil {
		return err
	}
	b, err := acc.Balance(ctx)
	if err != nil {
		return err
	}
	if a.json {
		doc := struct {
			Account string   `json:"account"`
			Balance *float64 `json:"balance"`
			Raw     string   `json:"raw"`
		}{acc.Name, nil, b.Raw}
		if b.Known {
			doc.Balance = &b.Amount
		}
		return a.printJSON(doc)
	}
	if !b.Known {
		a.say("%s: el proveedor respondió un saldo que no se entiende: %q", "%s: the provider's balance makes no sense: %q",
			acc.Name, b.Raw)
		return nil
	}
	a.say("%s: saldo %s", "%s: balance %s", acc.Name, a.amount(b.Amount))
	return nil
}

func (a *app) templatesCommand() *cobra.Command {
	var account string
	c := &cobra.Command{
		Use:   "templates",
		Short: a.t("Lista las plantillas de una cuenta", "List the templates of an account"),
		Args:  a.arguments(0, 0),
		RunE:  func(c *cobra.Command, _ []string) error { return a.templates(c.Context(), account) },
	}
	c.Flags().StringVar(&account, "account", "", a.t("cuenta", "account"))
	return c
}

// listed is one template: from the provider's list, with the id that the accounts file gives its name.
type listed struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Text      string `json:"text"`
	Status    string `json:"status"`
	Variables int    `json:"variables"`
}

func (a *app) templates(ctx context.Context, name string) error {
	a.accountName = name
	acc, err := a.account(name)
	if err != nil {
		return err
	}
	list, err := acc.ListTemplates(ctx)
	if err != nil {
		return err
	}
	out := make([]listed, 0, len(list))
	for _, t := range list {
		out = append(out, listed{
			ID: acc.TemplateID(t), Name: t.Name, Text: t.Text, Status: t.Status, Variables: variables(t),
		})
	}
	if a.json {
		return a.printJSON(out)
	}
	t := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, a.t("ID\tNOMBRE\tVARIABLES\tTEXTO", "ID\tNAME\tVARIABLES\tTEXT"))
	for _, l := range out {
		id := l.ID
		if id == "" {
			id = "?"
		}
		_, _ = fmt.Fprintf(t, "%s\t%s\t%d\t%s\n", id, l.Name, l.Variables, shorten(l.Text))
	}
	return t.Flush()
}

func shorten(text string) string {
	const limit = 80
	text = oneLine(text)
	if r := []rune(text); len(r) > limit {
		return string(r[:limit-1]) + "…"
	}
	return text
}

func variables(t providers.Template) int { return len(campaign.Template{Text: t.Text}.Variables()) }
