"""scikit-learn and implicit on demand: only a fit loads them, never a process that serves."""

from segments.learning.engine.lazy import Lazy

als = Lazy("implicit.cpu.als")
bpr = Lazy("implicit.cpu.bpr")
extmath = Lazy("sklearn.utils.extmath")
linear_model = Lazy("sklearn.linear_model")
preprocessing = Lazy("sklearn.preprocessing")
text = Lazy("sklearn.feature_extraction.text")
