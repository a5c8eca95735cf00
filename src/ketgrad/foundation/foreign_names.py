"""What other libraries call things: each of their names is answered with ours.

`kg.RX` does not exist, but whoever writes it means `kg.rx(angle, qubit)`, and is told so. One row per answer: the
sentence, then the names that it answers.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

ROWS: tuple[tuple[str, str], ...] = (
    # rotations
    ("the rotation is kg.rx(angle, qubit)", "RX Rx RXGate XPowGate"),
    ("the rotation is kg.ry(angle, qubit)", "RY Ry RYGate YPowGate"),
    ("the rotation is kg.rz(angle, qubit)", "RZ Rz RZGate ZPowGate"),
    ("the rotation is kg.rot(phi, theta, omega, qubit)", "Rot ROT"),
    ("the phase is kg.p(angle, qubit)", "PhaseShift PhaseGate P R1"),
    ("the controlled phase is kg.cp(angle, control, qubit)",
     "ControlledPhaseShift CPhase CPhaseShift CPhaseGate CP CPHASE"),
    ("the controlled rotation is kg.crx(angle, control, qubit)", "CRX CRXGate"),
    ("the controlled rotation is kg.cry(angle, control, qubit)", "CRY CRYGate"),
    ("the controlled rotation is kg.crz(angle, control, qubit)", "CRZ CRZGate"),
    ("any op takes controls: kg.rot(phi, theta, omega, qubit).control(0)", "CRot CROT"),
    ("the rotation is kg.rxx(angle, 0, 1)", "IsingXX RXX RXXGate XXPowGate MS"),
    ("the rotation is kg.ryy(angle, 0, 1)", "IsingYY RYY RYYGate YYPowGate"),
    ("the rotation is kg.rzz(angle, 0, 1)", "IsingZZ RZZ RZZGate ZZPowGate"),
    ("the rotation is kg.rzx(angle, 0, 1)", "RZX RZXGate"),
    ("the exchange rotation is kg.xy(angle, 0, 1)", "IsingXY XY"),
    ("the gate is kg.ecr(0, 1)", "ECRGate"),
    ("the exchange rotation is kg.xx_plus_yy(theta, beta, 0, 1)", "XXPlusYYGate"),
    ("the exchange rotation is kg.xx_minus_yy(theta, beta, 0, 1)", "XXMinusYYGate"),
    ("the rotation about a word is kg.pauli_rotation(angle, 'XYZ', 0, 1, 2)",
     "PauliRot PauliEvolutionGate MultiRZ PauliGadget PauliRotation"),
    ("the Givens rotation is kg.single_excitation(angle, 0, 1)", "SingleExcitation Givens givens"),
    ("the Givens rotation is kg.double_excitation(angle, 0, 1, 2, 3)", "DoubleExcitation"),
    ("the gate is kg.u1(angle, qubit)", "U1 U1Gate"),
    ("the gate is kg.u2(phi, lam, qubit)", "U2 U2Gate"),
    ("the gate is kg.u3(theta, phi, lam, qubit)", "U3 U3Gate UGate U"),
    ("the gate is kg.fsim(theta, phi, 0, 1)", "FSim FSimGate FermionicSWAP"),
    ("the global phase is kg.gphase(angle)", "GlobalPhase GlobalPhaseGate global_phase"),
    # fixed gates
    ("the gate is kg.x(qubit)", "X XGate PauliX NOT Not not_"),
    ("the gate is kg.y(qubit)", "Y YGate PauliY"),
    ("the gate is kg.z(qubit)", "Z ZGate PauliZ"),
    ("the gate is kg.h(qubit)", "H HGate Hadamard hadamard"),
    ("the gate is kg.s(qubit)", "S SGate"),
    ("the gate is kg.sdg(qubit)", "SdgGate Sdg"),
    ("the gate is kg.t(qubit)", "T TGate"),
    ("the gate is kg.tdg(qubit)", "TdgGate Tdg"),
    ("the gate is kg.sx(qubit)", "SX SXGate"),
    ("the identity is kg.id(qubit)", "I IGate Identity"),
    ("the gate is kg.cx(control, qubit)", "CNOT CX CXGate cnot CNot"),
    ("the gate is kg.cy(control, qubit)", "CY CYGate"),
    ("the gate is kg.cz(control, qubit)", "CZ CZGate CZPowGate"),
    ("the gate is kg.ch(control, qubit)", "CH CHGate"),
    ("the gate is kg.swap(0, 1)", "SWAP SwapGate"),
    ("the gate is kg.iswap(0, 1)", "ISWAP iSwapGate iSWAP"),
    ("the gate is kg.sqrt_iswap(0, 1)", "SISWAP SQISW SQRT_ISWAP"),
    ("the gate is kg.cswap(control, 0, 1)", "CSWAP CSwapGate Fredkin fredkin"),
    ("the gate is kg.ccx(0, 1, 2)", "Toffoli toffoli CCX CCXGate CCNOT"),
    ("the gate is kg.ccz(0, 1, 2)", "CCZ CCZGate"),
    ("any op takes controls: kg.x(2).control(0, 1)", "MultiControlledX MCXGate mcx C3XGate"),
    ("any op takes controls: kg.cx(0, 1).control(2), and so does a whole circuit: kg.Circuit.control",
     "ctrl control controlled ControlledGate ControlledOperation"),
    ("an op and a circuit have .inverse(): kg.Circuit.inverse", "adjoint dagger inverse inv"),
    ("the gate of a matrix is kg.unitary(matrix, 0, 1)", "QubitUnitary UnitaryGate MatrixGate unitary_gate"),
    ("a state is prepared by kg.prepare_state(amplitudes, 0, 1)",
     "StatePrep QubitStateVector MottonenStatePreparation StatePreparation "
     "Initialize initialize StatePreparationChannel"),
    # encodings and ansätze
    ("the encoding is kg.encodings.angle(num_inputs)", "AngleEmbedding AngleEncoder AngleEncoding angle_embedding"),
    ("the encoding is kg.encodings.amplitude(num_inputs)",
     "AmplitudeEmbedding RawFeatureVector AmplitudeEncoder AmplitudeEncoding StateEncoder"),
    ("the encoding is kg.encodings.basis(num_inputs)", "BasisEmbedding BasisState BasisEncoding BasisEncoder"),
    ("the encoding is kg.encodings.iqp(num_inputs)", "IQPEmbedding IQP"),
    ("the encoding is kg.encodings.zz_feature_map(num_inputs)", "ZZFeatureMap zz_feature_map"),
    ("the encoding is kg.encodings.z_feature_map(num_inputs)", "ZFeatureMap z_feature_map"),
    ("the encoding is kg.encodings.pauli_feature_map(num_inputs)", "PauliFeatureMap pauli_feature_map"),
    ("the encoding is kg.encodings.reuploading(num_inputs)", "DataReuploading data_reuploading reuploading"),
    ("the encodings are kg.encodings.ENCODINGS", "GeneralEncoder encoders embeddings templates encoding feature_maps"),
    ("the ansatz is kg.ansatz.strongly_entangling(num_qubits)", "StronglyEntanglingLayers strongly_entangling"),
    ("the ansatz is kg.ansatz.basic_entangler(num_qubits)", "BasicEntanglerLayers basic_entangler"),
    ("the ansatz is kg.ansatz.simplified_two_design(num_qubits)", "SimplifiedTwoDesign"),
    ("the ansatz is kg.ansatz.real_amplitudes(num_qubits)", "RealAmplitudes real_amplitudes"),
    ("the ansatz is kg.ansatz.hardware_efficient(num_qubits)", "EfficientSU2 efficient_su2 HardwareEfficient"),
    ("the ansatz is kg.ansatz.two_local(num_qubits)", "TwoLocal NLocal n_local two_local"),
    ("the ansatz is kg.ansatz.qaoa_ansatz(cost)", "QAOAAnsatz qaoa_ansatz"),
    ("the ansatz is kg.ansatz.tree(num_qubits)", "TTN"),
    ("the ansätze are kg.ansatz.ANSATZE", "ansatze ansaetze RandomLayers layers"),
    # circuits and variables
    ("a circuit is kg.Circuit([kg.h(0), kg.cx(0, 1)])",
     "QuantumCircuit QuantumTape QuantumScript Moment QuantumModule QuantumDevice Program"),
    ("qubits are numbers, as in kg.h(0), and kg.Circuit(ops, num_qubits) is their register",
     "QuantumRegister ClassicalRegister Qubit qubits LineQubit GridQubit NamedQubit wires Wires"),
    ("a weight is kg.w[0] and an input is kg.x[0]",
     "Parameter ParameterVector Symbol symbols parameter params weights inputs"),
    ("the polynomial in weights and inputs is kg.Angle, as 2 * kg.w[0]", "ParameterExpression"),
    ("a circuit is read by kg.from_qasm(text)", "from_qasm2 from_qasm3 from_qasm_str from_qasm_file loads"),
    ("a circuit writes itself: kg.Circuit.to_qasm", "to_qasm qasm2 qasm3 dumps"),
    ("a circuit comes from there by kg.qiskit.from_qiskit(circuit)", "from_qiskit"),
    ("a circuit comes from there by kg.cirq.from_cirq(circuit)", "from_cirq"),
    ("a circuit comes from there by kg.pennylane.from_pennylane(qnode)", "from_pennylane"),
    ("a circuit goes there by kg.qiskit.to_qiskit(circuit)", "to_qiskit"),
    ("a circuit goes there by kg.cirq.to_cirq(circuit)", "to_cirq"),
    ("a circuit goes there by kg.pennylane.to_pennylane(circuit)", "to_pennylane"),
    ("a circuit draws itself: kg.Circuit.draw, kg.draw.draw", "circuit_drawer drawer plot draw_mpl"),
    ("what a function costs is said by its plan: kg.Function.plan", "specs resources Resources"),
    ("nothing is transpiled: a kg.Circuit runs as it is", "transpile compile assemble transpiler"),
    # observables and questions
    ("an observable is kg.Pauli('0.5 Z0 Z1 - X2')",
     "Hamiltonian SparsePauliOp PauliList PauliString PauliWord PauliSentence SparseHamiltonian Observable Operator "
     "Hermitian PauliSumOp QubitOperator observable Projector pauli PauliOp Paulis"),
    ("expectation values are kg.expectation(circuit, kg.Pauli('Z0'))",
     "expval Expectation expectation_value expect ExpectationValue measure MeasureAll expectations"),
    ("variances are kg.variance(circuit, kg.Pauli('Z0'))", "var Var VarianceValue"),
    ("probabilities are kg.probabilities(circuit)", "probs Probability probability"),
    ("the state is kg.state(circuit)",
     "Statevector statevector StateVector final_state_vector state_vector State"),
    ("shots are kg.samples(circuit, shots=1000)", "sample counts Counts shots sampling SampledExpectation Sample"),
    ("a function that runs is kg.expectation(circuit, observables), kg.probabilities, kg.state or kg.samples",
     "qnode QNode device Device Aer AerSimulator BasicAer execute run simulate simulator Simulator "
     "StatevectorSimulator PQC ControlledPQC backend Backend get_backend"),
    ("its primitives are kg.qiskit.Estimator and kg.qiskit.Sampler",
     "Estimator Sampler StatevectorEstimator StatevectorSampler BackendEstimator BackendSampler EstimatorV2 SamplerV2"),
    ("the engines are kg.executors.EXECUTORS, given as executor='native'", "engines engine executor"),
    ("noise belongs to an executor of yours, given as executor=: kg.executors.Executor, kg.executors.Device",
     "NoiseModel Noise noise noise_model add_noise DepolarizingChannel depolarizing_error depolarize BitFlip "
     "AmplitudeDamping"),
    # gradients and training
    ("a function differentiates itself: kg.Function.vjp, kg.Function.jacobian",
     "grad jacobian value_and_grad gradient vjp"),
    ("a function differentiates itself: kg.Function.hessian", "hessian Hessian"),
    ("a function differentiates itself along a direction: kg.Function.jvp, kg.Function.hvp", "jvp hvp"),
    ("the rule is kg.ParameterShift(), given as gradient=",
     "param_shift parameter_shift ParamShiftEstimatorGradient ParameterShiftGradient ParamShift "
     "ParamShiftSamplerGradient"),
    ("the rule is kg.Adjoint(), given as gradient=", "AdjointDifferentiation ReverseEstimatorGradient adjoint_diff"),
    ("the rule is kg.FiniteDifference(), given as gradient=", "finite_diff FiniteDiffEstimatorGradient FiniteDiff"),
    ("the function is kg.minimise(loss, start, kg.Adam())", "minimize Minimize minimizer fit train Trainer optimise"),
    ("the optimiser is kg.Adam()",
     "AdamOptimizer ADAM adam Adagrad RMSProp GradientDescentOptimizer SGD GradientDescent"),
    ("the optimiser is kg.LBFGSB()", "L_BFGS_B LBFGS BFGS SLSQP lbfgs L_BFGS"),
    ("the optimiser is kg.SPSA()", "SPSAOptimizer QNSPSA spsa"),
    ("the optimiser is kg.COBYLA()", "Cobyla cobyla NelderMead NELDER_MEAD"),
    ("the optimisers are kg.optimize.OPTIMIZERS", "optim optimizers optimizer Optimizer optimisers"),
    ("the losses are kg.losses.LOSSES", "loss mse MSELoss CrossEntropyLoss cross_entropy L2Loss loss_functions"),
    # models and kernels
    ("the kernel is kg.FidelityKernel(circuit)",
     "FidelityQuantumKernel FidelityStatevectorKernel QuantumKernel kernel_matrix square_kernel_matrix "
     "Kernel kernel BaseKernel"),
    ("its weights are trained with kg.kernels.alignment_loss(kernel, X, y)",
     "TrainableFidelityQuantumKernel QuantumKernelTrainer TrainableKernel TrainableFidelityStatevectorKernel"),
    ("the alignment is kg.kernels.target_alignment(gram, labels)", "target_alignment kernel_alignment polarity"),
    ("the kernel is kg.ProjectedKernel(circuit)", "ProjectedQuantumKernel"),
    ("the estimator is kg.KernelClassifier()",
     "QSVC QSVM QuantumSVC PegasosQSVC SVC QKernelClassifier QuantumKernelClassifier QSVClassifier"),
    ("the estimator is kg.KernelRegressor()", "QSVR SVR QuantumSVR QuantumKernelRegressor"),
    ("the estimator is kg.VariationalClassifier()",
     "VQC QuantumClassifier VariationalQuantumClassifier NeuralNetworkClassifier QNNClassifier Classifier QNN "
     "QuantumNeuralNetwork CircuitCentricClassifier DataReuploadingClassifier"),
    ("the estimator is kg.VariationalRegressor()",
     "VQR QuantumRegressor VariationalQuantumRegressor NeuralNetworkRegressor QNNRegressor Regressor"),
    ("a circuit as a function of weights and inputs is kg.expectation(circuit, observables)",
     "EstimatorQNN SamplerQNN NeuralNetwork OpflowQNN CircuitQNN"),
    ("the layer is kg.torch.Layer(function)", "TorchLayer TorchConnector Layer QuantumLayer Module nn"),
    ("the layer is kg.keras.Layer(function)", "KerasLayer"),
    ("the device is qml.device('ketgrad.qubit'); its conversions are in kg.pennylane", "qml"),
    ("the solver is kg.vqe(hamiltonian)", "VQE SamplingVQE AdaptVQE VariationalQuantumEigensolver"),
    ("the solver is kg.qaoa(problem)", "QAOA qaoa_solver"),
    ("the exact answer is kg.hamiltonians.exact_ground_state(hamiltonian)",
     "NumPyMinimumEigensolver NumPyEigensolver eigensolver ground_state exact_ground_state"),
    ("the molecule is kg.hamiltonians.molecule('H2')", "molecular_hamiltonian qchem Molecule molecule"),
    ("the cost is kg.hamiltonians.maxcut(graph)", "Maxcut MaxCut max_cut maxcut"),
    ("the cost is kg.hamiltonians.qubo(matrix)", "QuadraticProgram QUBO qubo BinaryQuadraticModel"),
    ("the chain is kg.hamiltonians.ising(num_qubits)", "TFIM TransverseFieldIsing ising Ising"),
    ("the Hamiltonians are kg.hamiltonians.ising, kg.hamiltonians.heisenberg and others of kg.hamiltonians",
     "hamiltonian"),
    ("the comparison with classical models is kg.compare(table, target=...)", "benchmark evaluate cross_validate"),
    ("a model is kept by kg.save(model, path)", "dump to_file write save_model"),
    ("a model is read by kg.load(path)", "read load_model from_file"),
    ("data sets are in kg.datasets", "data load_dataset load_iris dataset"),
)  # fmt: skip

ANSWERS: Mapping[str, str] = {name: answer for answer, names in ROWS for name in names.split()}


def answer(name: str, known: Iterable[str]) -> str:
    """The message for a name that ketgrad does not have: ours for another library's, or the nearest of `known`.

    >>> answer("RX", ["rx"])
    "ketgrad has no 'RX': the rotation is kg.rx(angle, qubit)."
    >>> answer("expectaton", ["expectation", "rx"])
    "ketgrad has no 'expectaton'. Did you mean 'expectation'?"
    """
    if name in ANSWERS:
        return f"ketgrad has no {name!r}: {ANSWERS[name]}."
    if near := _nearest(name, known):
        return f"ketgrad has no {name!r}. Did you mean {' or '.join(map(repr, near))}?"
    if near := _nearest(name, ANSWERS):
        return f"ketgrad has no {name!r}. If {near[0]!r} is meant: {ANSWERS[near[0]]}."
    return f"ketgrad has no {name!r}. dir(ketgrad) lists what it has."


def _nearest(name: str, known: Iterable[str]) -> list[str]:
    lower = {own.lower(): own for own in known}
    return [lower[word] for word in difflib.get_close_matches(name.lower(), lower, n=3, cutoff=0.75)]
