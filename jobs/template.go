package jobs

import (
	"context"

	"pregon/campaign"
	"pregon/providers"
)

// Known completes a template of which only the id is given: from the accounts file, and where that names it without
// its text, from the provider's own list, which has names and no ids. What cannot be found out stays empty, and the
// check of the file then says that its variables are unverified.
func (a Account) Known(ctx context.Context, t campaign.Template) campaign.Template {
	if own, ok := a.Templates[t.ID]; ok {
		t = own
	}
	if t.Text != "" || t.Name == "" {
		return t
	}
	list, err := a.ListTemplates(ctx)
	if err != nil {
		return t
	}
	for _, listed := range list {
		if listed.Name == t.Name {
			t.Text = listed.Text
		}
	}
	return t
}

// TemplateID is the id of a template that the provider lists: its own, or the one that the accounts file gives its
// name; "" when nobody says.
func (a Account) TemplateID(t providers.Template) string {
	if t.ID != "" {
		return t.ID
	}
	for id, own := range a.Templates {
		if own.Name == t.Name {
			return id
		}
	}
	return ""
}
