package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"kargo"
)

// nodeLabels decides on the labels of each node, which its variable sets
// (<NODE>_LABELS). Kargo manages the labels that a variable names, and removes
// them when the variable no longer does. It does not touch other labels.
func (m maker) nodeLabels() (all decisions) {
	wanted, named := map[string]kargo.NodeLabels{}, map[string][]string{}
	for _, labels := range m.Labels {
		wanted[labels.Variable] = labels
	}
	nodes := slices.SortedStableFunc(slices.Values(m.live.Nodes), func(a, b kargo.LiveNode) int {
		return cmp.Or(strings.Compare(a.Hostname, b.Hostname), strings.Compare(a.ID, b.ID))
	})
	for _, node := range nodes {
		variable := labelsVariable(node)
		if !slices.Contains(named[variable], node.Hostname) {
			named[variable] = append(named[variable], node.Hostname)
		}
	}
	for _, node := range nodes {
		variable := labelsVariable(node)
		d := m.labelsOf(node, wanted[variable].Labels)
		if d.outcome == outcomeChange && len(named[variable]) > 1 {
			d.change.Fields = nil // the reason says more
			d.change.Reason += fmt.Sprintf(" (%s sets the labels of %s)", variable, strings.Join(named[variable], " and "))
		}
		all = append(all, d)
	}
	return append(all, m.labelsOfNobody(named)...)
}

func labelsVariable(node kargo.LiveNode) string { return kargo.SuffixLabels.Of(node.Hostname) }

// labelsOfNobody holds the labels of variables that no node belongs to.
func (m maker) labelsOfNobody(named map[string][]string) (all decisions) {
	if m.live.Nodes == nil {
		return nil
	}
	for _, labels := range m.Labels {
		if len(named[labels.Variable]) == 0 && len(labels.Labels) > 0 {
			all = append(all, toHold(kargo.Hold{
				Kind: kargo.KindNode, Name: strings.TrimSuffix(labels.Variable, string(kargo.SuffixLabels)), Until: kargo.UntilOutside,
				Reason: fmt.Sprintf("%s (%s) is for a node of that name, and no node has it", labels.Variable, labels.Where),
			}))
		}
	}
	return all
}

// labelsOf decides on the labels of one node.
func (m maker) labelsOf(node kargo.LiveNode, wanted map[string]string) decision {
	record := kargo.LabelNodeLabels + m.Instance
	next := maps.Clone(node.Spec.Labels)
	if next == nil {
		next = map[string]string{}
	}
	ours := strings.Fields(node.Spec.Labels[record])
	for _, key := range ours {
		delete(next, key)
	}
	delete(next, record)
	var managed []string
	for _, key := range slices.Sorted(maps.Keys(wanted)) {
		value, exists := node.Spec.Labels[key]
		switch isOthers := exists && !slices.Contains(ours, key); {
		case isOthers && value == wanted[key]:
			continue // is as wanted, and stays theirs
		case isOthers:
			return toHold(kargo.Hold{Kind: kargo.KindNode, Name: node.Hostname, Until: kargo.UntilOutside, Reason: m.labelOfOthers(node, key)})
		}
		next[key] = wanted[key]
		managed = append(managed, key)
	}
	if len(managed) > 0 {
		next[record] = strings.Join(managed, " ")
	}
	if maps.Equal(next, node.Spec.Labels) {
		return asItShouldBe()
	}
	spec := node.Spec
	spec.Labels = next
	fields := m.labelDifferences(node.Spec.Labels, next, record)
	var words []string
	for _, field := range fields {
		words = append(words, fmt.Sprintf("%s: %s -> %s", strings.TrimPrefix(field.Path, labelsPath), field.Before, field.After))
	}
	change := kargo.UpdateNode(node, spec, "labels: "+strings.Join(words, "; "))
	change.Fields = fields
	return toChange(change)
}

// labelOfOthers returns why a label that exists is not changed: no note on the node
// says that this instance set it.
func (m maker) labelOfOthers(node kargo.LiveNode, key string) string {
	if other := m.labelOwner(node, key); other != "" {
		return fmt.Sprintf("label %s belongs to the Kargo instance %s", key, other)
	}
	return fmt.Sprintf("label %s exists and is not Kargo's; to let Kargo manage it, remove it: docker node update --label-rm %s %s", key, key, node.Hostname)
}

// labelOwner returns the other instance that manages a label of a node, or "".
func (m maker) labelOwner(node kargo.LiveNode, key string) string {
	for label, keys := range node.Spec.Labels {
		instance, isRecord := strings.CutPrefix(label, kargo.LabelNodeLabels)
		if isRecord && instance != m.Instance && slices.Contains(strings.Fields(keys), key) {
			return instance
		}
	}
	return ""
}

// labelsPath is where the labels of a node are in its spec.
const labelsPath = "Labels."

// labelDifferences returns how each label changes. The label that records which
// labels Kargo manages is among them only where no other changes.
func (m maker) labelDifferences(was, is map[string]string, record string) (differences []kargo.FieldChange) {
	show := func(labels map[string]string, key string) string {
		value, exists := labels[key]
		if !exists {
			return "(none)"
		}
		return fmt.Sprintf("%q", m.Mask.Value(key, value))
	}
	keys := map[string]string{}
	maps.Copy(keys, was)
	maps.Copy(keys, is)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if before, after := show(was, key), show(is, key); key != record && before != after {
			differences = append(differences, kargo.FieldChange{Path: labelsPath + key, Before: before, After: after})
		}
	}
	if len(differences) == 0 {
		return []kargo.FieldChange{{Path: labelsPath + record, Before: show(was, record), After: show(is, record)}}
	}
	return differences
}

// OwnsLabels reports whether the instance manages a label of any node.
func OwnsLabels(nodes []kargo.LiveNode, instance string) bool {
	return slices.ContainsFunc(nodes, func(node kargo.LiveNode) bool {
		return node.Spec.Labels[kargo.LabelNodeLabels+instance] != ""
	})
}
