package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"gopkg.in/yaml.v3"

	"kargo/permit"
)

// policyFlags say what the operator permits a workspace to do.
type policyFlags struct {
	name  string
	file  string
	rules []string // RULE=VALUE
}

func (p *policyFlags) flags(flags *pflag.FlagSet) {
	flags.StringVar(&p.name, "policy", "", "`name` of the policy for what a workspace may ask of Docker: open (only warns, the default), baseline or restricted; see docs/policy.md")
	flags.Var((*pathValue)(&p.file), "policy-file", "YAML file with a policy, its rules and exceptions for single services")
	flags.StringArrayVar(&p.rules, "policy-rule", nil, "one more rule as `RULE=VALUE`, where the value is allow, warn, deny or what the rule permits (bind-mounts=/srv/*); can be repeated")
}

// policy returns the operator's policy. Flags override the file.
func (p *policyFlags) policy() (permit.Policy, error) {
	file, err := readPolicyFile(p.file)
	if err != nil {
		return permit.Policy{}, err
	}
	policy, err := permit.New(cmp.Or(p.name, file.name, permit.Open))
	if err != nil {
		return policy, err
	}
	for _, set := range file.rules {
		if policy, err = set(policy); err != nil {
			return policy, err
		}
	}
	// Several values of one rule add up.
	values := map[string][]string{}
	for _, text := range p.rules {
		rule, value, ok := strings.Cut(text, "=")
		if !ok {
			return policy, usagef("--policy-rule takes RULE=VALUE, not %q", text)
		}
		values[rule] = append(values[rule], value)
	}
	for _, rule := range slices.Sorted(maps.Keys(values)) {
		if policy, err = policy.Set(rule, strings.Join(values[rule], " ")); err != nil {
			return policy, fmt.Errorf("--policy-rule: %w", err)
		}
	}
	return policy, nil
}

// policyFile is the content of a file: a name, and each rule as a change of a
// policy.
type policyFile struct {
	name  string
	rules []func(permit.Policy) (permit.Policy, error)
}

func readPolicyFile(path string) (policyFile, error) {
	var file policyFile
	if path == "" {
		return file, nil
	}
	sections, err := readMapping(path)
	if err != nil {
		return file, err
	}
	for _, section := range sections {
		switch section.key.Value {
		case "policy":
			if file.name = section.value.Value; file.name == "" {
				err = fileError(path, section.key, errors.New("policy wants a name"))
			}
		case "rules":
			err = file.entries(path, section.value, permit.Policy.Set)
		case "services":
			err = file.entries(path, section.value, func(policy permit.Policy, service, rules string) (permit.Policy, error) {
				return policy.Except(service, strings.Fields(rules)...)
			})
		default:
			err = fileError(path, section.key, fmt.Errorf("unknown key %q", section.key.Value))
		}
		if err != nil {
			return file, err
		}
	}
	return file, nil
}

// entries adds the entries of a mapping from names to a value or a list.
func (f *policyFile) entries(path string, mapping *yaml.Node, set func(permit.Policy, string, string) (permit.Policy, error)) error {
	if mapping.Kind != yaml.MappingNode {
		return fileError(path, mapping, errors.New("is not a mapping"))
	}
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		key := mapping.Content[i]
		values, err := settingValues(mapping.Content[i+1])
		if err != nil {
			return fileError(path, key, err)
		}
		f.rules = append(f.rules, func(policy permit.Policy) (permit.Policy, error) {
			next, err := set(policy, key.Value, strings.Join(values, " "))
			if err != nil {
				return policy, fileError(path, key, err)
			}
			return next, nil
		})
	}
	return nil
}
