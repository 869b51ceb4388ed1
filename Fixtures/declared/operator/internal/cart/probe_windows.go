package cart

// +kubebuilder:rbac:groups=skipped,resources=windows,verbs=get
