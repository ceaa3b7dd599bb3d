"""scikit-learn, implicit and Optuna on demand: only a fit loads them, no process that serves."""

from segments.learning.engine.lazy import Lazy

als = Lazy("implicit.cpu.als")
bpr = Lazy("implicit.cpu.bpr")
ensemble = Lazy("sklearn.ensemble")
extmath = Lazy("sklearn.utils.extmath")
linear_model = Lazy("sklearn.linear_model")
optuna = Lazy("optuna")
preprocessing = Lazy("sklearn.preprocessing")
text = Lazy("sklearn.feature_extraction.text")
